"""The prediction log: spool, database, export, monitoring queries."""
