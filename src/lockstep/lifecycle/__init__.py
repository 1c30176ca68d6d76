"""The life of a version: registration, promotion, export, retraining."""
