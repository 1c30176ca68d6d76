"""Evaluation of a fitted model on the test rows."""
