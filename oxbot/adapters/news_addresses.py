"""Which addresses news may be fetched from: none that lead into a private network, whatever a name resolves to."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from oxbot.app.news.source import NewsUnavailable

_TRANSLATED = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"), ip_network("::/96"))
"""IPv6 addresses that stand for IPv4 ones."""


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet, and stands for no other."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and _stands_for_another(found):
        return False
    return found.is_global and not found.is_multicast


def check_address(url: str, *, private: bool) -> None:
    """Raise ``NewsUnavailable`` for an address that is not to be asked; names are checked when they are resolved."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise NewsUnavailable("an address that is none") from None
    if parts.scheme not in ({"http", "https"} if private else {"https"}) or not host:
        raise NewsUnavailable("an address that is not https")
    if parts.username is not None or parts.password is not None:
        raise NewsUnavailable("an address with a password in it")
    if not private and _is_literal(host) and not is_public(host):
        raise NewsUnavailable("an address that is not public")


def _is_literal(host: str) -> bool:
    """Whether it is, or may be taken for, a number: of those only what is written in full can be public."""
    if ":" in host:
        return True
    last = host.rstrip(".").rpartition(".")[2]
    return last.isdigit() or last.startswith("0x")


def _stands_for_another(address: IPv6Address) -> bool:
    inner: IPv4Address | None = address.ipv4_mapped or address.sixtofour
    return inner is not None or address.teredo is not None or any(address in network for network in _TRANSLATED)
