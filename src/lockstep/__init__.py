"""Lockstep: the library that both the pipeline stages and the app import."""
