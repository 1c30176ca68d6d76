"""Reading, checking, cleaning and splitting of data."""
