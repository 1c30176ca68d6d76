"""What every long-running command shares: a progress display, and retries with backoff."""
