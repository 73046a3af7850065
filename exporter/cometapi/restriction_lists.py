"""Read the lists that restrict a key: the addresses it works from and the models it may use.

Pure: knows no field by name. The lists themselves are not kept: a list of addresses tells how to
attack a network. What is kept is how many entries there are, whether they allow every address, and
a digest that shows a change.
"""

import functools
import hashlib
import ipaddress
import re
from collections.abc import Collection, Iterable

from exporter.model import RestrictionList

# Fifty times the list that New API's form takes; bounds what a page of lists can cost.
LONGEST_TEXT = 50_000
# Accounts repeat few lists. Texts up to this length are remembered, some megabytes in all.
LONGEST_REMEMBERED = 500
MOST_REMEMBERED = 2_048
# A person who splits all addresses writes two halves or four quarters.
MOST_LARGE_NETWORKS = 32
_IPV4_INSIDE_IPV6 = ipaddress.IPv6Network("::ffff:0:0/96")
_SEPARATORS = re.compile(r"[\s,;]+")
# Networks of which a few make up all addresses, of IPv4 also inside IPv6.
_LARGE = re.compile(r"[0-9a-f.:]+/(?:[1-4]|9[6-9]|100)", re.IGNORECASE)
# A mask of zero, whatever stands before it: `0/0`, `::/00`, `10.1.2.3/0.0.0.0`.
_EVERY_ADDRESS = re.compile(r"[0-9a-f.:\[\]]+/0+(?:\.0+){0,3}", re.IGNORECASE)


def address_list(text: str) -> RestrictionList | None:
    """Return what the addresses and networks in *text* are; None where there are none."""
    if len(text) > LONGEST_REMEMBERED:
        return _address_list(text)
    return _remembered_address_list(text)


def model_list(names: str | Collection[str]) -> RestrictionList:
    """Return what a list of models is, given as text with commas or name by name.

    It may be empty.
    """
    if not isinstance(names, str):
        return _restriction_list(name.strip() for name in names)
    if len(names) > LONGEST_REMEMBERED:
        return _model_list(names)
    return _remembered_model_list(names)


def _address_list(text: str) -> RestrictionList | None:
    if not text.strip():
        return None
    if len(text) > LONGEST_TEXT:
        return RestrictionList()
    entries = [entry for entry in _SEPARATORS.split(text.lower()) if entry]
    return _restriction_list(entries, allows_all=_allow_every_address(entries))


def _model_list(text: str) -> RestrictionList:
    if len(text) > LONGEST_TEXT:
        return RestrictionList()
    return _restriction_list(name.strip() for name in text.split(","))


_remembered_address_list = functools.lru_cache(MOST_REMEMBERED)(_address_list)
_remembered_model_list = functools.lru_cache(MOST_REMEMBERED)(_model_list)


def _restriction_list(entries: Iterable[str], *, allows_all: bool = False) -> RestrictionList:
    unique = sorted({entry for entry in entries if entry})
    joined = "\n".join(unique).encode(errors="replace")
    digest = hashlib.blake2b(joined, digest_size=8).digest()
    return RestrictionList(
        count=len(unique), digest=int.from_bytes(digest, "big"), allows_all=allows_all
    )


def _allow_every_address(entries: Iterable[str]) -> bool:
    """Whether *entries* let through every address of IPv4 or of IPv6, one by one or together."""
    ipv4: list[ipaddress.IPv4Network] = []
    ipv6: list[ipaddress.IPv6Network] = []
    for entry in entries:
        if _EVERY_ADDRESS.fullmatch(entry):
            return True
        if len(ipv4) + len(ipv6) < MOST_LARGE_NETWORKS and _LARGE.fullmatch(entry):
            _add_network(entry, ipv4, ipv6)
    every_ipv4 = any(network.prefixlen == 0 for network in ipaddress.collapse_addresses(ipv4))
    every_ipv6 = any(network.prefixlen == 0 for network in ipaddress.collapse_addresses(ipv6))
    return every_ipv4 or every_ipv6


def _add_network(
    entry: str, ipv4: list[ipaddress.IPv4Network], ipv6: list[ipaddress.IPv6Network]
) -> None:
    """Add the network that *entry* is to those of its version.

    The gateway reads no other entries.
    """
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return
    if isinstance(network, ipaddress.IPv4Network):
        ipv4.append(network)
    elif network.subnet_of(_IPV4_INSIDE_IPV6):
        ipv4.append(_as_ipv4(network))
    else:
        ipv6.append(network)


def _as_ipv4(network: ipaddress.IPv6Network) -> ipaddress.IPv4Network:
    """Return the addresses of IPv4 that *network* stands for, as the gateway's library reads it.

    Source: https://pkg.go.dev/net#ParseCIDR and https://pkg.go.dev/net#IPNet.Contains
    """
    prefix = network.prefixlen - _IPV4_INSIDE_IPV6.prefixlen
    return ipaddress.IPv4Network((int(network.network_address) & 0xFFFF_FFFF, prefix))
