"""Reading, validation, cleaning and splitting of rows."""
