"""Divide the accounts of a configuration file among several exporters.

Pure: knows no settings.
"""

from hashlib import blake2b


def shard_of(name: str, total: int) -> int:
    """Return the index of the shard that reads the account *name*, by rendezvous hashing.

    Each shard draws a number for the name, and the highest wins. One more shard therefore takes
    about 1 in *total* accounts from the others, and no account moves between the others.
    """

    def draw(index: int) -> bytes:
        return blake2b(f"{index}/{name}".encode(errors="surrogatepass")).digest()

    return max(range(total), key=draw)
