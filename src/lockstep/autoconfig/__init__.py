"""Automatic configuration: a params.yaml proposed from a data file."""
