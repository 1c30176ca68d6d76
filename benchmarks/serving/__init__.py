"""Our server beside others: the same models, the same rows, in turn on this machine."""
