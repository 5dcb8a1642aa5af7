"""What a local exchange is made of: its market, its accounts and their keys."""

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from oxbot.exchange.model import AccountSpec, ApiKey, Instrument, Settings

CONTRACT_VALUES: Mapping[str, Decimal] = {
    "BTC": Decimal("0.01"),
    "ETH": Decimal("0.1"),
    "SOL": Decimal(1),
    "XRP": Decimal(100),
    "DOGE": Decimal(1000),
    "ADA": Decimal(100),
}
_CONTRACT_LOT = Decimal("0.01")
_SPOT_LEVERAGE = Decimal(1)
_SECRET_LENGTH = 32


class Funded(msgspec.Struct, frozen=True):
    """An account and what it has when it is opened."""

    spec: AccountSpec
    deposits: Mapping[str, Decimal]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Ports of 0 are free ones. ``start_ms``: where the market's clock begins; None: now.

    ``prices``: of instruments that no candles move, their first.
    ``silence_seconds``: after which a WebSocket without traffic is dropped.
    ``may_crash``: whether the admin port may kill the process.
    """

    home: Path
    settings: Settings
    instruments: Sequence[Instrument]
    accounts: Sequence[Funded]
    port: int = 0
    admin_port: int = 0
    prices: Mapping[str, Decimal] = {}
    start_ms: int | None = None
    speed: float = 1.0
    silence_seconds: float = 30.0
    may_crash: bool = False


def spot(symbol: str, *, tick: Decimal, lot: Decimal) -> Instrument:
    """The pair BASE/QUOTE."""
    base, _, quote = symbol.partition("/")
    return Instrument(
        inst_id=f"{base}-{quote}",
        inst_type="SPOT",
        base=base,
        quote=quote,
        tick=tick,
        lot=lot,
        minimum=lot,
        leverage_max=_SPOT_LEVERAGE,
    )


def swap(symbol: str, *, tick: Decimal) -> Instrument:
    """The linear perpetual of BASE/QUOTE."""
    base, _, quote = symbol.partition("/")
    return Instrument(
        inst_id=f"{base}-{quote}-SWAP",
        inst_type="SWAP",
        base=base,
        quote=quote,
        tick=tick,
        lot=_CONTRACT_LOT,
        minimum=_CONTRACT_LOT,
        contract_value=CONTRACT_VALUES.get(base, Decimal(1)),
    )


def account(name: str, *, seed: int, demo: bool, deposits: Mapping[str, Decimal]) -> Funded:
    """An account whose keys follow from its name and the seed: one that trades, one that only reads."""
    trades = _key(name, "trade", seed)
    reads = _key(name, "read", seed)
    spec = AccountSpec(
        name=name,
        keys=(
            trades,
            ApiKey(key=reads.key, secret=reads.secret, passphrase=reads.passphrase, permissions=("read_only",)),
        ),
        demo=demo,
    )
    return Funded(spec, deposits)


def _key(name: str, purpose: str, seed: int) -> ApiKey:
    digest = hashlib.sha512(f"oxbot exchange {seed} {name} {purpose}".encode()).hexdigest()
    return ApiKey(
        key=f"{name}-{purpose}-{digest[:12]}",
        secret=digest[12 : 12 + _SECRET_LENGTH].upper(),
        passphrase=f"local-{digest[-8:]}",
    )
