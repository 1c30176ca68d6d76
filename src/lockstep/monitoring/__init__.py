"""Monitoring of live traffic: windows, alerts, shadow challenger."""
