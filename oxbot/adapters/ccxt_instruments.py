"""What a venue says of its symbols, as instruments that bots can trade."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from events.identifiers import Symbol
from events.values import Instrument
from oxbot.app.live_market_source import SourceRefused
from oxbot.core.money import ZERO

MAINTENANCE = Decimal("0.01")
LIQUIDATION_FEE = Decimal("0.0005")
"""What paper assumes of a perpetual: venues say it by tiers. The first tier of large coins is less."""


def instruments(markets: Mapping[str, Mapping[str, object]], symbols: Sequence[Symbol]) -> tuple[Instrument, ...]:
    """The instruments of these symbols, of what ccxt has loaded with exact texts for numbers.

    Raises ``SourceRefused`` for a symbol that there is not, or that is no spot pair and no linear perpetual.
    """
    return tuple(_instrument(symbol, markets.get(symbol)) for symbol in sorted(symbols))


def _instrument(symbol: Symbol, market: Mapping[str, object] | None) -> Instrument:
    if market is None:
        raise SourceRefused(f"the venue has no {symbol}")
    perpetual = bool(market.get("swap"))
    if not market.get("spot") and not (perpetual and market.get("linear")):
        raise SourceRefused(f"{symbol} is neither a spot pair nor a linear perpetual")
    if market.get("active") is False:
        raise SourceRefused(f"{symbol} is not being traded")
    contract = _number(market.get("contractSize")) or Decimal(1) if perpetual else Decimal(1)
    tick, lot = _number(_in(market, "precision", "price")), _number(_in(market, "precision", "amount"))
    if not tick or not lot:
        raise SourceRefused(f"the venue does not say in which steps {symbol} is traded")
    least = _number(_in(market, "limits", "amount", "min")) or lot
    return Instrument(
        symbol=symbol,
        tick=tick,
        # A quantity in multiples of the least one is never too small; a venue's least is a multiple of its step.
        lot=(least if least > lot and least % lot == 0 else lot) * contract,
        minimum_notional=_number(_in(market, "limits", "cost", "min")) or ZERO,
        kind="perpetual" if perpetual else "spot",
        contract_size=contract,
        leverage_max=(_number(_in(market, "limits", "leverage", "max")) or Decimal(1)) if perpetual else Decimal(1),
        maintenance_fraction=MAINTENANCE if perpetual else ZERO,
        liquidation_fee=LIQUIDATION_FEE if perpetual else ZERO,
    )


def _in(market: Mapping[str, object], *names: str) -> object:
    found: object = market
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _number(written: object) -> Decimal | None:
    if written is None:
        return None
    try:
        number = Decimal(str(written))
    except InvalidOperation:
        return None
    return number if number.is_finite() and number > 0 else None
