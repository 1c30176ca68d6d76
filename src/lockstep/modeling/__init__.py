"""Estimators, search, metrics, and the predictor."""
