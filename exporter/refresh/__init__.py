"""The life of one account: when it is read, what is read beside its keys, and what is logged about it."""
