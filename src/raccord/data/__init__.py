"""Rows that travel between environments: compared, planned, pushed in one transaction, taken back."""
