"""Simulate an account, and the API that serves it."""
