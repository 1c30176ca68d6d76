"""Drift statistics: reference profiles, hypothesis tests, live quality."""
