"""Read one account: when, what beside its keys, and what is logged about it."""
