"""Compiled scoring: what a server worker loads to turn a request into a prediction."""
