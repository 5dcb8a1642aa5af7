"""What happens by itself as time passes: candles, price steps, liquidations, funding, and the dead man's switch."""

from decimal import Decimal
from typing import NamedTuple

from oxbot.core.money import ZERO, fault, prorate
from oxbot.exchange import accounts, algos, ending, matching, positions, prices
from oxbot.exchange.accounts import Entry
from oxbot.exchange.desk import Desk, Refusal
from oxbot.exchange.model import Instrument, PlaceOrder
from oxbot.exchange.pushes import FundingRatePushed
from oxbot.exchange.records import FundingRate, Position
from oxbot.exchange.state import Account, Market

ONE = Decimal(1)
_ORDER = ("confirm", "candle", "funding", "step", "countdown")


class _Due(NamedTuple):
    """What comes next: when, in which order at the same moment, and to whom."""

    at: int
    rank: int
    name: str


def next_due(desk: Desk) -> int | None:
    """When something will happen by itself next, or None."""
    due = _next(desk)
    return None if due is None else due.at


def play(desk: Desk, now: int) -> bool:
    """Let everything happen that is due until now, in order of time; whether there was anything."""
    played = False
    while (due := _next(desk)) is not None and due.at <= now:
        desk.state.now = max(desk.state.now, due.at)
        _happen(desk, _ORDER[due.rank], due.name)
        accounts.settle(desk)
        played = True
    if played:
        desk.state.now = max(desk.state.now, now)
    return played


def list_instrument(desk: Desk, instrument: Instrument) -> None:
    """Begin to trade an instrument, or replace what is known of it."""
    positive = (instrument.tick, instrument.lot, instrument.minimum, instrument.contract_value, instrument.leverage_max)
    if any(fault(value) is not None or value <= 0 for value in positive):
        raise Refusal("51000", "an instrument's steps must be above 0")
    desk.state.instruments[instrument.inst_id] = instrument
    market = desk.state.markets.setdefault(instrument.inst_id, Market(inst_id=instrument.inst_id))
    if instrument.inst_type == "SWAP" and market.funding_at is None:
        every = desk.settings.funding_interval_ms
        market.funding_rate = desk.settings.funding_rate
        market.funding_at = (desk.state.now // every + 1) * every


def set_funding_rate(desk: Desk, inst_id: str, rate: Decimal) -> None:
    """The rate that is paid from the next mark on."""
    market = desk.market(inst_id)
    if market.funding_at is None or fault(rate) is not None or abs(rate) >= 1:
        raise Refusal("51000", "Parameter fundingRate error")
    market.funding_rate = rate
    _tell_rate(desk, market)


def funding_rate(desk: Desk, inst_id: str) -> FundingRate | None:
    """The coming rate of a SWAP."""
    market = desk.state.markets.get(inst_id)
    if market is None or market.funding_at is None:
        return None
    return FundingRate(
        inst_id=inst_id,
        rate=market.funding_rate,
        funding_time=market.funding_at,
        next_funding_time=market.funding_at + desk.settings.funding_interval_ms,
        at=desk.state.now,
    )


def funding_history(desk: Desk, inst_id: str) -> tuple[FundingRate, ...]:
    """The rates that were paid, newest first."""
    market = desk.state.markets.get(inst_id)
    return () if market is None else tuple(reversed(market.funding_history))


def _next(desk: Desk) -> _Due | None:
    found: list[_Due] = []
    for name, market in desk.state.markets.items():
        if market.bars and not market.bars[-1].confirmed:
            found.append(_Due(market.bars[-1].at + prices.MINUTE_MS, 0, name))
        if market.candles:
            found.append(_Due(market.candles[0].at, 1, name))
        if market.funding_at is not None:
            found.append(_Due(market.funding_at, 2, name))
        if market.steps:
            found.append(_Due(market.steps[0].at, 3, name))
    found.extend(
        _Due(at, 4, name)
        for name, account in desk.state.accounts.items()
        if (at := _countdown_ends(account)) is not None
    )
    return min(found, default=None)


def _happen(desk: Desk, what: str, name: str) -> None:
    match what:
        case "confirm":
            prices.confirm(desk, desk.state.markets[name])
        case "candle":
            prices.begin_candle(desk, desk.state.markets[name])
        case "funding":
            _fund(desk, desk.state.markets[name])
        case "step":
            _step(desk, desk.state.markets[name])
        case _:
            _end_countdown(desk, desk.state.accounts[name])


def _countdown_ends(account: Account) -> int | None:
    """When the first of the account's countdowns ends."""
    whole = [] if account.cancel_all_at is None else [account.cancel_all_at]
    return min([*whole, *account.cancel_tagged_at.values()], default=None)


def _end_countdown(desk: Desk, account: Account) -> None:
    now = desk.state.now
    if account.cancel_all_at is not None and account.cancel_all_at <= now:
        account.cancel_all_at = None
        ending.cancel_all(desk, account, ending.BY_COUNTDOWN)
    for tag in [tag for tag, at in account.cancel_tagged_at.items() if at <= now]:
        del account.cancel_tagged_at[tag]
        ending.cancel_all(desk, account, ending.BY_COUNTDOWN, tag=tag)


def _step(desk: Desk, market: Market) -> None:
    prices.move(desk, market, market.steps.pop(0))
    instrument = desk.state.instruments[market.inst_id]
    if instrument.inst_type == "SWAP":
        _liquidate(desk, instrument)
    if instrument.state == "live":
        matching.rest(desk, market)
        algos.watch(desk, market)


def _fund(desk: Desk, market: Market) -> None:
    """Every open position pays or receives the rate on its value at the mark price."""
    every = desk.settings.funding_interval_ms
    at = market.funding_at or 0
    rate = market.funding_rate
    instrument = desk.state.instruments[market.inst_id]
    market.funding_at = at + every
    market.funding_history.append(
        FundingRate(inst_id=market.inst_id, rate=rate, funding_time=at, next_funding_time=at + every, at=at)
    )
    for account in desk.state.accounts.values():
        for position in list(account.positions.values()):
            if position.inst_id == market.inst_id and position.contracts:
                _pay(desk, account, instrument, position, rate)
    _liquidate(desk, instrument)
    _tell_rate(desk, market)


def _pay(desk: Desk, account: Account, instrument: Instrument, position: Position, rate: Decimal) -> None:
    notional, _ = positions.worth(desk, position)
    long = position.contracts > 0
    amount = prorate(notional, -rate if long else rate, ONE)
    if not amount:
        return
    position.funding += amount
    if position.margin_mode == "isolated" and amount < 0:
        # What is more than the margin is paid out of the rest of the account.
        position.margin -= min(position.margin, -amount)
    entry = Entry(
        type="8",
        sub_type="174" if amount > 0 else "173",
        inst_id=position.inst_id,
        inst_type="SWAP",
        margin_mode=position.margin_mode,
        size=abs(position.contracts),
        price=desk.state.markets[position.inst_id].last,
        pnl=amount,
    )
    accounts.book(desk, account, instrument.quote, amount, entry)
    ending.keep_solvent(desk, account, instrument.quote)
    desk.touch_position(account.spec.name, positions.key(position.inst_id, position.margin_mode))


def _liquidate(desk: Desk, instrument: Instrument) -> None:
    """Take the positions whose equity is at or below their maintenance margin and closing fee."""
    for account in desk.state.accounts.values():
        crosses = False
        for position in list(account.positions.values()):
            if position.inst_id != instrument.inst_id or not position.contracts:
                continue
            if position.margin_mode == "cross":
                crosses = True
            elif position.margin + positions.worth(desk, position)[1] <= positions.maintenance(desk, account, position):
                _take(desk, account, instrument, position)
        if crosses:
            _liquidate_cross(desk, account, instrument.quote)


def _liquidate_cross(desk: Desk, account: Account, currency: str) -> None:
    margins = positions.totals(desk, account, currency)
    balance = account.balances.get(currency)
    cash = ZERO if balance is None else balance.cash
    if cash - margins.isolated + margins.upl > margins.maintenance:
        return
    ending.cancel_all(desk, account, ending.BY_LIQUIDATION, currency=currency)
    for position in list(account.positions.values()):
        instrument = desk.state.instruments[position.inst_id]
        if position.contracts and position.margin_mode == "cross" and instrument.quote == currency:
            _take(desk, account, instrument, position)


def _take(desk: Desk, account: Account, instrument: Instrument, position: Position) -> None:
    """Close a position at the mark price; what is left of an isolated margin is lost, what is lacking is covered."""
    mark = desk.state.markets[position.inst_id].last or ZERO
    margin, mode = position.margin, position.margin_mode
    _, upl = positions.worth(desk, position)
    notional = abs(position.contracts) * instrument.contract_value * mark
    left = margin + upl - prorate(notional, account.spec.fees.swap_taker, ONE)
    if mode == "isolated" and left < 0:
        accounts.book(desk, account, instrument.quote, -left, _of_liquidation("9", "247", position))
    request = PlaceOrder(
        inst_id=position.inst_id,
        trade_mode=mode,
        side="sell" if position.contracts > 0 else "buy",
        order_type="market",
        size=abs(position.contracts),
    )
    penalty = _of_liquidation("5", "110", position)
    matching.liquidate(desk, account, request, mark)
    if mode == "isolated" and left > 0:
        accounts.book(desk, account, instrument.quote, -left, penalty)


def _of_liquidation(bill_type: str, sub_type: str, position: Position) -> Entry:
    return Entry(
        type=bill_type,
        sub_type=sub_type,
        inst_id=position.inst_id,
        inst_type="SWAP",
        margin_mode=position.margin_mode,
    )


def _tell_rate(desk: Desk, market: Market) -> None:
    rate = funding_rate(desk, market.inst_id)
    if rate is not None:
        desk.pushes.append(FundingRatePushed(sequence=desk.new_sequence(), rate=rate))
