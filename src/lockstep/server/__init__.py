"""Server processes: worker supervisor, prediction log recorder, slow clients."""
