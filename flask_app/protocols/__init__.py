"""What each protocol sends and expects back: pure functions from bytes to rows and from answers to JSON."""
