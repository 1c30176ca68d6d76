"""Data sources: files, HTTP, S3, SQL, and change detection."""
