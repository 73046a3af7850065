"""Read the proxy variables as curl and Go do.

Which proxy leads to a gateway, and which gateways need none.

Pure: the environment is an argument. Knows no HTTP client and no files. Where curl and Go differ,
the comments say which one counts. The text of a proxy variable may hold a password, so no error
quotes it.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import idna

from exporter.credentials import Secret
from exporter.files import LONGEST_SHOWN_NAME
from exporter.parsers import is_loopback

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# The ports that Go takes where a proxy has none; curl takes 1080.
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SOCKS = ("socks", "socks4", "socks4a", "socks5", "socks5h")
_HOST_NAME = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,252}")
# [fd00::1], [fd00::1]:443, [fd00::]/8 and [fd00::/8]
_IN_BRACKETS = re.compile(r"\[(?P<address>[^\[\]]*)\](?P<range>/[0-9]+)?(?::(?P<port>[0-9]+))?")
# An IPv4 address that is written as IPv6, such as ::ffff:10.0.0.1, has this many bits in front.
_MAPPED_BITS = 96

EXPECTED = (
    "expected an HTTP proxy such as http://proxy.example.org:3128 (in a user and a password, write "
    "special characters as %XX)"
)
NO_SOCKS = (
    "SOCKS proxies are not supported: set an HTTP proxy, or name the gateway's host in NO_PROXY"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy; its text names its address and its variable, never its password.

    *scheme* is `http` or `https`: how the exporter talks to the proxy itself. An IPv6 *host* has no
    brackets. *variable* is the environment variable that sets the proxy. *login* is
    `USER:PASSWORD`, None where the variable has neither.
    """

    scheme: str
    host: str
    port: int
    variable: str
    login: Secret | None = None

    @property
    def url(self) -> str:
        """The proxy's URL without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def __str__(self) -> str:
        address = self.url.partition("://")[2]
        # One long label may be a token that was pasted in the wrong place.
        if len(self.host) >= LONGEST_SHOWN_NAME and not re.search("[.:]", self.host):
            address = f"with a name of {len(self.host)} characters"
        return f"the proxy {address} ({self.variable})"


def variable_for(base_url: str, environ: Mapping[str, str]) -> str | None:
    """Return the name of the variable whose proxy leads to *base_url*; None where no proxy does.

    A gateway on this machine never has one. `HTTPS_PROXY` or `HTTP_PROXY` is chosen by the URL's
    scheme and comes before `ALL_PROXY`, which Go does not know. Of two spellings the one in lower
    case counts, as for curl. A variable that is empty is not set.
    """
    if is_loopback(base_url):
        return None
    scheme = urlsplit(base_url).scheme
    exceptions = _first_set(environ, "no_proxy")
    if exceptions is not None and is_excepted(base_url, environ[exceptions]):
        return None
    return _first_set(environ, f"{scheme}_proxy", "all_proxy")


def _first_set(environ: Mapping[str, str], *names: str) -> str | None:
    for name in names:
        for spelling in (name, name.upper()):
            if environ.get(spelling, "").strip():
                return spelling
    return None


def parse_proxy(text: str, variable: str) -> Proxy:
    """Return the proxy in *text*, the value of *variable*; raises ValueError for people.

    Without a scheme it is an HTTP proxy. A path, as in `http://proxy.example.org:3128/`, means
    nothing.
    """
    url = text.strip()
    if "://" not in url:
        url = f"http://{url}"
    if re.search(r"[\x00-\x20\x7f]", url):
        raise ValueError(EXPECTED)
    try:
        parts = urlsplit(url)
        port = parts.port
        host = _checked_host(parts.hostname or "")
    except ValueError:
        raise ValueError(EXPECTED) from None
    if parts.scheme in _SOCKS:
        raise ValueError(NO_SOCKS)
    if parts.scheme not in _DEFAULT_PORTS or port == 0:
        raise ValueError(EXPECTED)
    login = None
    if parts.username or parts.password:
        login = Secret(f"{unquote(parts.username or '')}:{unquote(parts.password or '')}")
    return Proxy(
        scheme=parts.scheme,
        host=host,
        port=port or _DEFAULT_PORTS[parts.scheme],
        variable=variable,
        login=login,
    )


def _checked_host(host: str) -> str:
    """Return *host* in ASCII; raises ValueError where it is neither an address nor a name."""
    if ":" in host:
        return str(ipaddress.IPv6Address(host))
    name = _in_ascii(host)
    if not _HOST_NAME.fullmatch(name):
        raise ValueError(EXPECTED)
    return name


def _in_ascii(name: str) -> str:
    """Return a name as DNS knows it: `bücher.example` is `xn--bcher-kva.example`.

    Raises ValueError.
    """
    if name.isascii():
        return name.lower()
    return idna.encode(name, uts46=True).decode()


def is_excepted(base_url: str, no_proxy: str) -> bool:
    """Whether *no_proxy*, the value of NO_PROXY, excepts the host of *base_url* from proxies.

    Entries are separated by commas or white space. An entry that means nothing matches nothing, as
    for curl and Go. Names are not resolved, so a range matches only a base URL with an address.
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return any(_matches(entry, host, str(port)) for entry in re.split(r"[\s,]+", no_proxy))


def _matches(entry: str, host: str, port: str) -> bool:
    if entry == "*":
        return True
    pattern, pattern_port = _split_port(entry)
    if pattern_port not in {"", port}:
        return False
    network = _network(pattern)
    address = _address(host)
    if address is not None:
        return network is not None and address in network
    return network is None and _matches_name(pattern, host)


def _split_port(entry: str) -> tuple[str, str]:
    """Return an entry's host or range, without brackets, and its port, "" where it has none."""
    bracketed = _IN_BRACKETS.fullmatch(entry)
    if bracketed is not None:
        return bracketed["address"] + (bracketed["range"] or ""), bracketed["port"] or ""
    # An IPv6 address outside brackets has several colons, and no port.
    if entry.count(":") == 1:
        host, _, port = entry.partition(":")
        return host, port
    return entry, ""


def _address(host: str) -> Address | None:
    """Return the address that *host* is, None for a name; without the zone of a link-local one."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _network(pattern: str) -> Network | None:
    """Return the range, or the single address, that *pattern* is; None for a name."""
    try:
        network = ipaddress.ip_network(re.sub(r"%[^/]*", "", pattern), strict=False)
    except ValueError:
        return None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= _MAPPED_BITS:
        return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def _matches_name(pattern: str, host: str) -> bool:
    """Whether *host* is the name *pattern*, or one below it."""
    try:
        name = _in_ascii(pattern)
    except ValueError:
        return False
    # Go's own form: the names below, but not the name itself.
    if name.startswith("*."):
        return host.endswith(name[1:])
    # A leading dot changes nothing, as for curl; for Go it would except only the names below.
    name = name.strip(".")
    return name != "" and (host == name or host.endswith(f".{name}"))
