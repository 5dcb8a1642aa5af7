"""What OKX trades, and the way between base quantities and its contracts: nowhere else are contracts spoken of."""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from events.identifiers import Symbol
from oxbot.app.venue import VenueUnavailable, VenueUnfit
from oxbot.core.money import AMOUNT_MAX, exact, text


class Steps(NamedTuple):
    """One symbol at OKX; ``contract`` is the base quantity of one contract, 1 for spot, and ``lot`` is in contracts."""

    symbol: Symbol
    instrument_id: str
    perpetual: bool
    contract: Decimal
    lot: Decimal
    tick: Decimal

    def fault(self, quantity: Decimal | None, prices: Iterable[Decimal | None]) -> str | None:
        """What is not on the venue's steps, or None; it is never rounded here."""
        if quantity is not None and (quantity <= 0 or quantity % (self.contract * self.lot)):
            return f"quantity {text(quantity)} of {self.symbol} is no multiple of {text(self.contract * self.lot)}"
        for price in prices:
            if price is not None and (price <= 0 or price % self.tick):
                return f"price {text(price)} of {self.symbol} is no multiple of {text(self.tick)}"
        return None

    def size(self, quantity: Decimal) -> str:
        """A base quantity as OKX is told it; only for a quantity that is on the steps."""
        with exact():
            return text(quantity / self.contract)

    def quantity(self, size: str) -> Decimal:
        """The base quantity of what OKX tells."""
        with exact():
            return number(size) * self.contract


class OkxMarkets:
    """The spot pairs and the linear perpetuals that can be traded."""

    def __init__(self, markets: Iterable[Mapping[str, object]]) -> None:
        found = [steps for market in markets if (steps := _steps(market)) is not None]
        self._by_symbol = {steps.symbol: steps for steps in found}
        self._by_id = {steps.instrument_id: steps for steps in found}

    def of(self, symbol: Symbol) -> Steps:
        """The symbol's steps. Raises ``VenueUnfit`` for what OKX does not trade or we do not."""
        steps = self._by_symbol.get(symbol)
        if steps is None:
            raise VenueUnfit(f"okx does not trade {symbol} as a spot pair or a linear perpetual")
        return steps

    @property
    def any_id(self) -> str:
        """OKX's name of one of them, no matter which. Raises ``VenueUnavailable`` if there is none."""
        found = next(iter(self._by_id), None)
        if found is None:
            raise VenueUnavailable("okx names nothing that is traded there")
        return found

    def named(self, instrument_id: str) -> Steps:
        """The steps of what OKX names so; what we do not trade goes by OKX's own name, in its own units."""
        steps = self._by_id.get(instrument_id)
        if steps is not None:
            return steps
        return Steps(Symbol(instrument_id), instrument_id, perpetual=False, contract=Decimal(1), lot=_ANY, tick=_ANY)


_ANY = Decimal("1e-18")
_DIGITS_MAX = 60


def number(written: str) -> Decimal:
    """The number that OKX wrote, 0 for none. Raises ``VenueUnavailable`` for what no amount of money can be."""
    try:
        value = Decimal(written or "0")
    except InvalidOperation:
        value = Decimal("NaN")
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or len(digits) + abs(exponent) > _DIGITS_MAX or value.copy_abs() >= AMOUNT_MAX:
        raise VenueUnavailable("okx answered with something that should be a number and is none")
    return value


def _steps(market: Mapping[str, object]) -> Steps | None:
    info = market.get("info")
    if not isinstance(info, Mapping) or not (market.get("spot") or (market.get("swap") and market.get("linear"))):
        return None
    perpetual = bool(market.get("swap"))
    contract = number(str(info.get("ctVal") or "1")) * number(str(info.get("ctMult") or "1")) if perpetual else None
    return Steps(
        symbol=Symbol(str(market["symbol"])),
        instrument_id=str(info["instId"]),
        perpetual=perpetual,
        contract=contract or Decimal(1),
        lot=number(str(info["lotSz"])),
        tick=number(str(info["tickSz"])),
    )
