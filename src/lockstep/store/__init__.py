"""The prediction log: spooled to disk by the workers, carried into a database by the recorder."""
