"""Points a ccxt exchange at other addresses, such as those of the local exchange."""

from typing import NamedTuple
from urllib.parse import urlsplit


class VenueAddresses(NamedTuple):
    """Where a venue's HTTP and WebSocket endpoints are: scheme, host and port, without a path."""

    rest: str
    ws: str


def redirected(urls: object, addresses: VenueAddresses) -> object:
    """Ccxt's table of a venue's addresses, which nests differently for each, with every host in it replaced.

    What is no address stays as it is, and so does each address's path.
    """
    if isinstance(urls, dict):
        return {name: redirected(value, addresses) for name, value in urls.items()}
    if isinstance(urls, list | tuple):
        return [redirected(value, addresses) for value in urls]
    if isinstance(urls, str):
        return _moved(urls, addresses)
    return urls


def _moved(url: str, addresses: VenueAddresses) -> str:
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return addresses.rest.rstrip("/") + parts.path
    if parts.scheme in ("ws", "wss"):
        return addresses.ws.rstrip("/") + parts.path
    return url
