"""Prometheus metrics and monitoring snapshots."""
