"""Estimators, serialization and hyperparameter search."""
