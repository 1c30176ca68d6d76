"""The promotion gate: checks of a candidate version."""
