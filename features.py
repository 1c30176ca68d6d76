"""Derived columns: functions that `feature_engineering.functions` of params.yaml names; see docs/features.md.

Each takes the rows as a frame of the model's columns and returns one value a row, from the values of that row alone.
"""
