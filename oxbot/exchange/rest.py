"""What an endpoint is: its name, its handler, how often it may be asked, and by whom."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeVar

from oxbot.exchange.auth import Caller
from oxbot.exchange.engine import Exchange
from oxbot.exchange.limits import Limit, Scope
from oxbot.exchange.model import InstType, Permission
from oxbot.exchange.rows import instrument_code
from oxbot.exchange.wire import ApiError, Params, Reply, Row

Found = TypeVar("Found")

PAGE = 100
INST_TYPES: Sequence[InstType] = ("SPOT", "SWAP")
OTHER_TYPES = ("MARGIN", "FUTURES", "OPTION", "EVENTS", "ANY")


class Ask(NamedTuple):
    """One request: the exchange as it is at ``now`` (market time, ms), and who asks for what.

    ``rows`` are the parameters of each row of a batch; one row for what is no batch.
    ``expired``: its expTime has passed on the server's clock.
    """

    exchange: Exchange
    now: int
    server_ms: int
    params: Params
    rows: Sequence[Params]
    caller: Caller | None = None
    expired: bool = False

    @property
    def account(self) -> str:
        """The name of the account that asks."""
        if self.caller is None:
            raise ApiError("50103", 'Request header "OK-ACCESS-KEY" cannot be empty.')
        return self.caller.account.name

    @property
    def expires_at(self) -> int | None:
        """For the engine, whose clock is the market's: long ago, or never."""
        return 0 if self.expired else None

    def inst_id(self, params: Params) -> str:
        """The instrument, by its name or by its code."""
        name = params.text("instId")
        code = params.text("instIdCode")
        if name or not code:
            return name
        for instrument in self.exchange.instruments():
            if str(instrument_code(instrument.inst_id)) == code:
                return instrument.inst_id
        raise ApiError("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")


class Endpoint(NamedTuple):
    """One path and method. ``single``: a batch of one's limit; ``orders``: its rows are new or changed orders."""

    method: Literal["GET", "POST"]
    path: str
    handle: Callable[[Ask], Reply]
    limit: Limit
    permission: Permission | None = None
    rows_max: int = 0
    """Of a batch, which is a list; 0: it is an object."""
    single: Limit | None = None
    orders: bool = False

    @property
    def name(self) -> str:
        """As faults and counters call it."""
        return f"{self.method} {self.path}"


def limit(name: str, count: int, scope: Scope, *, window_ms: int = 2000) -> Limit:
    """A documented limit."""
    return Limit(name, count, window_ms, scope)


def inst_type(params: Params, *, needed: bool = False) -> InstType | None:
    """The type asked for; None for any. Of a type that is not traded here there is nothing: 51000."""
    text = params.needed("instType") if needed else params.text("instType")
    for known in INST_TYPES:
        if known == text:
            return known
    if text in ("", "ANY"):
        return None
    raise ApiError("51000", "Parameter instType error")


def traded(params: Params, *, needed: bool = False) -> bool:
    """Whether the type that is asked for is one that is traded here."""
    text = params.needed("instType") if needed else params.text("instType")
    return text in ("", "ANY", *INST_TYPES)


def collected(
    fetch: Callable[[tuple[str, str], int], Sequence[Found]],
    keep: Callable[[Found], bool],
    row_id: Callable[[Found], str],
    *,
    params: Params,
) -> Sequence[Found]:
    """Page through what the engine has until there are as many rows that are wanted as were asked for."""
    wanted = params.limit(PAGE)
    before, after = params.text("before"), params.text("after")
    for bound in (before, after):
        if bound and not bound.isdecimal():
            raise ApiError("51000", "Parameter before/after error")
    found: list[Found] = []
    while True:
        page = fetch((before, after), PAGE)
        found += [row for row in page if keep(row)]
        if len(found) >= wanted or len(page) < PAGE:
            return found[:wanted]
        after = row_id(page[-1])


def rows(found: Sequence[Row]) -> Reply:
    """An answer that went well."""
    return Reply(found)
