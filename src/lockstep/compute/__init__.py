"""Execution backends: local processes and Dask."""
