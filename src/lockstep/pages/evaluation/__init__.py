"""The evaluation report as one HTML page."""
