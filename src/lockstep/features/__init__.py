"""Feature engineering: transformers and the fitted feature pipeline."""
