"""Metrics of predictions and labels: scores, intervals, comparison, calibration, slices, leakage."""
