"""The states of keys and accounts as numbers, which value mappings turn into words.

Pure. The order is that of an ascending sort: what needs a person comes first.
"""

# The states of a key as numbers, which `look.STATES` gives words.
(
    UNUSABLE,
    EXHAUSTED,
    EXPIRED,
    DISABLED,
    UNKNOWN_STATUS,
    ACCOUNT_DISABLED,
    ACCOUNT_EXHAUSTED,
    GROUP_UNAVAILABLE,
    PROBABLY_DRY,
    POSSIBLY_DRY,
    USABLE,
) = range(11)
# The states of an account as numbers, which `look.ACCOUNT_STATES` gives words.
(
    ACCOUNT_NO_EXPORTER,
    ACCOUNT_STALE,
    ACCOUNT_FAILING,
    ACCOUNT_NOT_READ_YET,
    ACCOUNT_EMPTY,
    ACCOUNT_UP,
    ACCOUNT_NAME_SHARED,
) = range(7)
