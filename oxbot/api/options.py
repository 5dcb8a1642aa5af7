"""How an installation exposes its API: what it trusts, what it allows, and how much of it."""

import msgspec

REQUEST_SECONDS = 30.0
BODY_SECONDS = 10.0
USER_REQUESTS_PER_SECOND = 100.0
ADDRESS_REQUESTS_PER_SECOND = 200.0


class ApiOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What may differ from one installation to another.

    trusted_proxies: addresses and networks of which `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    allowed_origins: origins of other sites whose pages may call the API, such as https://desk.example.com.
    user_requests_per_second, address_requests_per_second: for how many there is room on average over ten seconds, of
    whoever is signed in and of an address; 0 for no limit. Each process counts for itself.
    request_seconds: how long a request may take until its answer begins, and body_seconds, until its content is there.
    """

    trusted_proxies: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    user_requests_per_second: float = USER_REQUESTS_PER_SECOND
    address_requests_per_second: float = ADDRESS_REQUESTS_PER_SECOND
    request_seconds: float = REQUEST_SECONDS
    body_seconds: float = BODY_SECONDS
