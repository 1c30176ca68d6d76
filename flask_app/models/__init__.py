"""Loaded models: the registry poll, the model cache, the challenger."""
