"""The settings of an installation, read from the environment in one place."""

import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

import msgspec
from platformdirs import user_data_path

from events.errors import OxbotError
from oxbot.weak_secrets import password_weakness

PREFIX = "OXBOT_"
SECRETS = ("database_url", "database_role_password", "venue_key", "notify_urls")
LISTS = ("market_symbols", "api_trusted_proxies", "api_allowed_origins")
URL_BEGINS = ("postgresql://", "postgres://")

_ORIGIN = re.compile(r"https?://[a-z0-9.-]{1,253}(?::[0-9]{1,5})?|https?://\[[0-9a-f:]+\](?::[0-9]{1,5})?")


class InvalidSetting(OxbotError):
    """A setting that is unknown or malformed; the text names it."""


class Secret(msgspec.Struct, frozen=True):
    """A value that never shows itself: printed, logged or formatted it is three stars."""

    value: str

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def reveal(self) -> str:
        """The value, for the one call that needs it."""
        return self.value


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set, each by the environment variable ``OXBOT_`` and its name in capitals.

    home: where the embedded database, keys and tokens are kept.
    database_url: a Postgres 15 or newer to use instead of the embedded one, by a login that may migrate it.
    database_role_password: what every oxbot_* role logs in with; without it, processes step down from the login above.
    venue_key: the key that venue credentials are encrypted under, 32 bytes in base64; without it, a file in home.
    notify_urls: where people are told of fills, halts and doubts: addresses that Apprise knows, separated by spaces.
    archive_directory: where ``oxbot archive`` keeps what has left the database; without it, a directory in home. Every
    process that reads the log must find it under this name.
    models: the file that says which language models there are and on what terms; without it, ``scripted`` alone.
    news: the file that says which sources of news are read for advised bots; without it, none.
    ray_address: a Ray cluster to use instead of a local one.
    api_host, api_port: where the API listens; beyond this machine only with TLS, or if api_plain_http is true.
    api_tls_cert, api_tls_key: a certificate with its chain and its key, in PEM files: the API is served over TLS.
    api_plain_http: true to listen beyond this machine without TLS, as behind a proxy that has it.
    api_trusted_proxies: addresses and networks of proxies whose word on who a request is from is believed.
    api_allowed_origins: origins of other sites whose pages may call the API.
    api_user_requests_per_second, api_address_requests_per_second: how many requests of an account, and of an address,
    each process of the API takes on average; 0 for no limit.
    bots_per_actor: how many bots share one host process.
    connections_max: how many connections to Postgres the processes of the installation hold together, at most.
    seal_interval_seconds: how long after a checkpoint of the log the next one is signed, at the soonest.
    market_seed, market_symbols, market_timeframe: the synthetic market of ``oxbot up``.
    log_level: debug, info, warning or error.
    """

    home: Path
    database_url: Secret | None = None
    database_role_password: Secret | None = None
    venue_key: Secret | None = None
    notify_urls: Secret | None = None
    archive_directory: Path | None = None
    models: Path | None = None
    news: Path | None = None
    ray_address: str | None = None
    api_host: str = "127.0.0.1"
    api_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8020
    api_tls_cert: Path | None = None
    api_tls_key: Path | None = None
    api_plain_http: bool = False
    api_trusted_proxies: tuple[str, ...] = ()
    api_allowed_origins: tuple[str, ...] = ()
    api_user_requests_per_second: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] = 100.0
    api_address_requests_per_second: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] = 200.0
    bots_per_actor: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    connections_max: Annotated[int, msgspec.Meta(ge=14, le=10_000)] = 20
    seal_interval_seconds: Annotated[float, msgspec.Meta(ge=0.1, le=86_400)] = 10.0
    market_seed: Annotated[int, msgspec.Meta(ge=0)] = 1
    market_symbols: tuple[str, ...] = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT", "DOGE/USDT", "ADA/USDT")
    market_timeframe: str = "5m"
    log_level: str = "warning"

    def __post_init__(self) -> None:
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise ValueError(f"log_level must be debug, info, warning or error, not {self.log_level}")
        if self.database_url is not None and not self.database_url.reveal().startswith(URL_BEGINS):
            raise ValueError("OXBOT_DATABASE_URL is no URL such as postgresql://user@host:5432/database")
        if self.database_role_password is not None:
            weakness = password_weakness(self.database_role_password.reveal())
            if weakness is not None:
                raise ValueError(f"OXBOT_DATABASE_ROLE_PASSWORD could be guessed: {weakness}")
        if (self.api_tls_cert is None) != (self.api_tls_key is None):
            raise ValueError("OXBOT_API_TLS_CERT and OXBOT_API_TLS_KEY go together")
        for proxy in self.api_trusted_proxies:
            _check_network(proxy)
        for origin in self.api_allowed_origins:
            if _ORIGIN.fullmatch(origin) is None:
                raise ValueError(f"OXBOT_API_ALLOWED_ORIGINS: {origin!r} is no origin such as https://desk.example.com")

    @property
    def notify_targets(self) -> tuple[Secret, ...]:
        """Each of the addresses that people are told at."""
        return () if self.notify_urls is None else tuple(map(Secret, self.notify_urls.reveal().split()))

    @property
    def archive(self) -> Path:
        """Where the archive is."""
        return self.archive_directory or self.home / "archive"


def load_settings(environment: Mapping[str, str]) -> Settings:
    """The settings that the environment gives. Raises ``InvalidSetting`` for an unknown or malformed one."""
    given = {name[len(PREFIX) :].lower(): value for name, value in environment.items() if name.startswith(PREFIX)}
    unknown = sorted(given.keys() - set(Settings.__struct_fields__))
    if unknown:
        known = ", ".join(PREFIX + name.upper() for name in Settings.__struct_fields__)
        raise InvalidSetting(f"unknown setting {PREFIX}{unknown[0].upper()}; there is {known}")
    values: dict[str, object] = {"home": user_data_path("oxbot"), **given}
    for name in SECRETS:
        if name in values:
            values[name] = Secret(given[name])
    for name in LISTS:
        if name in values:
            values[name] = tuple(part.strip() for part in given[name].split(",") if part.strip())
    try:
        return msgspec.convert(values, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise InvalidSetting(f"setting: {_named(str(error))}") from error


def _check_network(proxy: str) -> None:
    try:
        ip_network(proxy)
    except ValueError as error:
        raise ValueError(f"OXBOT_API_TRUSTED_PROXIES: {error}") from error


def _named(message: str) -> str:
    """Msgspec's message with the field's path turned into the variable's name."""
    return re.sub(r"`\$\.(\w+)[^`]*`", lambda match: PREFIX + match[1].upper(), message)


def _path(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value)).expanduser()
    return value
