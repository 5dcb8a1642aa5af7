"""Facts of bots that trade perpetuals, sell short and pay fees in base currency, for the tests of their rows."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from events.bot import BotFact, BotStarted, OrderFilled, OrderRequested
from events.identifiers import FillId, Symbol
from events.values import Bracket, Instrument, OrderKind, Side
from tests.core.scenario import BTC, ETH, created, deposited, instrument, moment, order_id

PERPETUAL = Instrument(
    symbol=BTC,
    tick=Decimal("0.01"),
    lot=Decimal("0.001"),
    kind="perpetual",
    leverage_max=Decimal(20),
    maintenance_fraction=Decimal("0.005"),
    liquidation_fee=Decimal("0.005"),
)
SPOT = instrument(ETH, tick="0.01", lot="0.01")


def trader(*instruments: Instrument) -> list[BotFact]:
    """A bot with 10,000 of its own that was started."""
    return [created(*(instruments or (PERPETUAL, SPOT))), deposited(), BotStarted()]


def asked(
    number: int,
    side: Side,
    quantity: str,
    *,
    at: int,
    symbol: Symbol = BTC,
    reduces: bool = False,
    kind: OrderKind = "market",
    leverage: str = "5",
    trigger: str | None = None,
    trailing: str | None = None,
    bracket: Bracket | None = None,
) -> OrderRequested:
    """The bot's order ``number``, requested in candle ``at``."""
    return OrderRequested(
        order_id=order_id(number),
        at=moment(at),
        symbol=symbol,
        side=side,
        kind=kind,
        reason="exit_signal" if reduces else "entry",
        quantity=Decimal(quantity),
        trigger_price=None if trigger is None else Decimal(trigger),
        trailing_fraction=None if trailing is None else Decimal(trailing),
        bracket=bracket,
        reduce_only=reduces,
        leverage=Decimal(leverage),
    )


def fill(
    number: int,
    quantity: str,
    price: str,
    *,
    at: int,
    fee: str = "0",
    fee_in: Literal["quote", "base"] = "quote",
    part: int = 1,
    complete: bool = True,
) -> OrderFilled:
    """Fill ``part`` of the bot's order ``number``."""
    return OrderFilled(
        order_id=order_id(number),
        fill_id=FillId(f"{order_id(number)}-{part}"),
        at=moment(at),
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(fee),
        liquidity="taker",
        complete=complete,
        fee_in=fee_in,
    )


def traded(
    number: int,
    side: Side,
    quantity: str,
    price: str,
    *,
    at: int,
    fee: str = "0",
    symbol: Symbol = BTC,
    reduces: bool = False,
    fee_in: Literal["quote", "base"] = "quote",
) -> Sequence[BotFact]:
    """An order and its one fill."""
    return [
        asked(number, side, quantity, at=at, symbol=symbol, reduces=reduces),
        fill(number, quantity, price, at=at, fee=fee, fee_in=fee_in),
    ]
