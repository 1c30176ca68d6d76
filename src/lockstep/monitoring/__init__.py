"""Drift, live quality and comparison: arrays in, numbers out; and what is made of them."""
