"""What the user writes: flags, variables, the file of accounts; read into frozen settings."""
