"""Retraining: policy, scheduler, jobs, GitHub dispatch."""
