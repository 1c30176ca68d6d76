"""Hyperparameter search by cross-validation."""
