"""Comparison of model servers: the same models and rows, alternating on this machine."""
