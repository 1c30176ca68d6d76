"""Inference: the predictor, the compiled cache, batch scoring."""
