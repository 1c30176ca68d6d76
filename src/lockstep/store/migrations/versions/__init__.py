"""The history of the tables, in the order they came."""
