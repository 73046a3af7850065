"""What the user writes: flags, variables, the configuration file; read into frozen settings."""
