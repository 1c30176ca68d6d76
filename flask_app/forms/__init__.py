"""The browser form and CSV upload."""
