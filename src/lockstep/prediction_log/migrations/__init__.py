"""Alembic migrations of the prediction log."""
