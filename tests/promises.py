"""What users were promised by name, written out by hand once; every test that checks a list of names reads it here."""

REASONS = (
    "unauthorized",
    "rate_limited",
    "server_error",
    "timeout",
    "unreachable",
    "rejected",
    "invalid_response",
    "inconsistent",
    "account_disabled",
    "too_many_keys",
    "internal",
)
