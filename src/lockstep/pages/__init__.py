"""HTML reports for people: data, evaluation, monitoring."""
