"""The price path of an instrument: steps made of candles, and the candles, trades and books that are shown of it."""

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import replace

from oxbot.core.candles import Candle, InvalidCandle, check_candle
from oxbot.core.money import ZERO, fault
from oxbot.exchange import commands as c
from oxbot.exchange.desk import Desk, Refusal
from oxbot.exchange.model import DAY_MS, Instrument, Side
from oxbot.exchange.pushes import BarPushed, BookPushed, MarkPricePushed, TickerPushed, TradePushed
from oxbot.exchange.records import Bar, Book, BookTop, Level, PublicTrade, Step, Ticker
from oxbot.exchange.state import Market, QueuedCandle

MINUTE_MS = 60_000
BOOK_LEVELS_MAX = 400
_GAP_MINUTES_MAX = 1440
_LEVEL_LOTS = 2000
_ENOUGH_BARS = 2


def schedule(desk: Desk, command: c.Feed | c.Backfill | c.AddSteps) -> None:
    """Take candles or steps to come, or candles of the past."""
    market = desk.market(command.inst_id)
    instrument = desk.instrument(command.inst_id)
    match command:
        case c.Feed(at, _, candle, duration):
            begins = _checked(candle, duration)
            if begins + duration <= max(at, market.fed_until or 0) or begins < (market.fed_until or 0):
                raise Refusal("51000", "candle is over, or before one that was fed")
            market.candles.append(QueuedCandle(begins, duration, candle))
            market.fed_until = begins + duration
        case c.Backfill(_, _, candles, duration):
            if market.bars:
                raise Refusal("51000", "instrument has a history already")
            for candle in candles:
                _checked(candle, duration)
            for candle in candles:
                for step in steps_of(desk, instrument, QueuedCandle(_milliseconds(candle), duration, candle)):
                    _add_to_bars(market, step)
                    market.last = step.price
            for bar in market.bars:
                bar.confirmed = True
        case c.AddSteps(at, _, steps):
            if any(step.at < at or step.price <= 0 or fault(step.price) or step.volume < 0 for step in steps):
                raise Refusal("51000", "a step is in the past, or has no price")
            market.steps.extend(steps)
            market.steps.sort(key=lambda step: step.at)


def fed_until(desk: Desk, inst_id: str) -> int | None:
    """The end of the last candle that was fed."""
    market = desk.state.markets.get(inst_id)
    return None if market is None else market.fed_until


def begin_candle(desk: Desk, market: Market) -> None:
    """Make the steps of the next candle; those of them that are past already are played at once."""
    queued = market.candles.pop(0)
    market.steps.extend(steps_of(desk, desk.state.instruments[market.inst_id], queued))
    market.steps.sort(key=lambda step: step.at)


def steps_of(desk: Desk, instrument: Instrument, queued: QueuedCandle) -> list[Step]:
    """Open, one extreme, the other, close, and prices on the tick between them; at least one step a minute."""
    candle = queued.candle
    extremes = [candle.high, candle.low] if _high_first(desk, instrument, queued) else [candle.low, candle.high]
    count = max(4, desk.settings.steps_per_candle, -(-queued.duration_ms // MINUTE_MS))
    points = {0: candle.open, count // 3: extremes[0], 2 * count // 3: extremes[1], count - 1: candle.close}
    places = sorted(points)
    lot = instrument.lot * instrument.contract_value
    share = candle.volume // (lot * count) * lot
    made = []
    for index in range(count):
        after = bisect_left(places, index)
        first, second = places[max(0, after - 1)], places[after]
        price = points[second]
        if index != second:
            way = (price - points[first]) * (index - first)
            price = points[first] + way // (instrument.tick * (second - first)) * instrument.tick
        volume = candle.volume - share * (count - 1) if index == count - 1 else share
        made.append(Step(queued.at + index * queued.duration_ms // count, price, volume))
    return made


def move(desk: Desk, market: Market, step: Step) -> None:
    """The price goes to the step: books, bars and trades follow and are told."""
    instrument = desk.state.instruments[market.inst_id]
    before = top(market)
    market.last, market.last_size, market.last_at = step.price, step.volume, desk.state.now
    market.sequence += 1
    share = desk.settings.participation
    market.left = None if share is None else step.volume * share
    tell_bar(desk, market, _add_to_bars(market, replace(step, at=desk.state.now)))
    after = top(market)
    if after is not None:
        desk.pushes.append(BookPushed(sequence=desk.new_sequence(), before=before, after=after))
    if step.volume:
        _trade(desk, market, before, step)
    told = ticker(desk, market.inst_id)
    if told is not None:
        desk.pushes.append(TickerPushed(sequence=desk.new_sequence(), ticker=told))
    if instrument.inst_type == "SWAP":
        desk.pushes.append(
            MarkPricePushed(
                sequence=desk.new_sequence(),
                inst_id=market.inst_id,
                inst_type="SWAP",
                price=step.price,
                at=desk.state.now,
            )
        )


def confirm(desk: Desk, market: Market) -> None:
    """The forming minute is over."""
    market.bars[-1].confirmed = True
    tell_bar(desk, market, [market.bars[-1]])


def tell_bar(desk: Desk, market: Market, changed: Sequence[Bar]) -> None:
    """Push minute candles as they are now."""
    for bar in changed:
        desk.pushes.append(
            BarPushed(sequence=desk.new_sequence(), inst_id=market.inst_id, bar=replace(bar), at=desk.state.now)
        )


def touch(desk: Desk, instrument: Instrument, market: Market, side: Side) -> Decimal:
    """What a taker of this side gets: the best ask for a buy, the best bid for a sell."""
    bid, ask = best(desk, instrument, market.last or ZERO)
    return ask if side == "buy" else bid


def best(desk: Desk, instrument: Instrument, last: Decimal) -> tuple[Decimal, Decimal]:
    """Best bid and ask: the spread's ticks around the last price, the odd one above it."""
    ticks = desk.settings.spread_ticks
    bid = max(instrument.tick, last - ticks // 2 * instrument.tick)
    return bid, bid + max(1, ticks) * instrument.tick


def top(market: Market) -> BookTop | None:
    """From which the book of this moment is made."""
    if market.last is None:
        return None
    return BookTop(inst_id=market.inst_id, last=market.last, sequence=market.sequence, at=market.last_at)


def book(desk: Desk, inst_id: str, levels: int) -> Book | None:
    """The book as it is now."""
    market = desk.state.markets.get(inst_id)
    now = None if market is None else top(market)
    return None if now is None else _whole(desk, now, levels, previous=-1)


def book_changes(desk: Desk, before: BookTop | None, after: BookTop, levels: int) -> Book:
    """The levels that differ between two books; a size of 0 where a level is gone."""
    new = _whole(desk, after, levels, previous=-1 if before is None else before.sequence)
    if before is None:
        return new
    old = _whole(desk, before, levels, previous=-1)
    return replace(new, bids=_changed(old.bids, new.bids), asks=_changed(old.asks, new.asks))


def ticker(desk: Desk, inst_id: str) -> Ticker | None:
    """The present state with 24 h statistics; None while there is no price."""
    market = desk.state.markets.get(inst_id)
    if market is None or market.last is None:
        return None
    instrument = desk.state.instruments[inst_id]
    now = _whole(desk, BookTop(inst_id=inst_id, last=market.last, sequence=0, at=0), 1, previous=-1)
    day = _day_before(desk, market)
    current = market.bars[-1] if market.bars else Bar(0, market.last, market.last, market.last, market.last, ZERO, ZERO)
    return Ticker(
        inst_id=inst_id,
        inst_type=instrument.inst_type,
        last=market.last,
        last_size=market.last_size,
        bid=now.bids[0].price,
        bid_size=now.bids[0].size,
        ask=now.asks[0].price,
        ask_size=now.asks[0].size,
        open_24h=current.open if day is None else day.open,
        high_24h=current.high if day is None else max(day.high, current.high),
        low_24h=current.low if day is None else min(day.low, current.low),
        volume_24h=current.volume + (ZERO if day is None else day.volume),
        quote_volume_24h=current.quote_volume + (ZERO if day is None else day.quote_volume),
        at=market.last_at,
    )


def bars(
    desk: Desk, inst_id: str, duration_ms: int, *, between: tuple[int | None, int | None], limit: int, offset_ms: int
) -> tuple[Bar, ...]:
    """Candles of any length in whole minutes, newest first."""
    market = desk.state.markets.get(inst_id)
    if market is None or duration_ms < MINUTE_MS or duration_ms % MINUTE_MS:
        return ()
    before, after = between
    minutes = market.bars
    until = (
        len(minutes)
        if after is None
        else bisect_left(minutes, _start(after - 1, duration_ms, offset_ms) + duration_ms, key=_opened)
    )
    rows: list[Bar] = []
    while until > 0 and len(rows) < limit:
        start = _start(minutes[until - 1].at, duration_ms, offset_ms)
        if before is not None and start <= before:
            break
        since = bisect_left(minutes, start, hi=until, key=_opened)
        row = merged(minutes[since:until], start)
        row.confirmed = since < until < len(minutes) or start + duration_ms <= desk.state.now
        rows.append(row)
        until = since
    return tuple(rows)


def merged(minutes: Sequence[Bar], at: int) -> Bar:
    """One candle out of many."""
    return Bar(
        at,
        minutes[0].open,
        max(bar.high for bar in minutes),
        min(bar.low for bar in minutes),
        minutes[-1].close,
        sum((bar.volume for bar in minutes), ZERO),
        sum((bar.quote_volume for bar in minutes), ZERO),
    )


def trades(desk: Desk, inst_id: str, limit: int) -> tuple[PublicTrade, ...]:
    """The market's trades, newest first."""
    market = desk.state.markets.get(inst_id)
    return () if market is None else tuple(reversed(market.trades[-limit:]))


def _day_before(desk: Desk, market: Market) -> Bar | None:
    """The 24 hours before the forming minute as one candle; reckoned once a minute."""
    if len(market.bars) < _ENOUGH_BARS:
        return None
    at = market.bars[-1].at
    known = desk.days.get(market.inst_id)
    if known is None or known.at != at:
        since = bisect_right(market.bars, at - DAY_MS, key=_opened)
        known = desk.days[market.inst_id] = merged(market.bars[min(since, len(market.bars) - _ENOUGH_BARS) : -1], at)
    return known


def _checked(candle: Candle, duration_ms: int) -> int:
    try:
        check_candle(candle)
    except InvalidCandle as fault_found:
        raise Refusal("51000", f"candle: {fault_found}") from fault_found
    begins = _milliseconds(candle)
    if duration_ms < MINUTE_MS or duration_ms % MINUTE_MS or begins % MINUTE_MS:
        raise Refusal("51000", "candle is not of whole minutes")
    return begins


def _milliseconds(candle: Candle) -> int:
    return round(candle.open_time.timestamp() * 1000)


def _high_first(desk: Desk, instrument: Instrument, queued: QueuedCandle) -> bool:
    """Pessimistic is against the accounts' net position; without one, and if seeded, the seed says."""
    order = desk.settings.path_order
    if order in {"low_first", "high_first"}:
        return order == "high_first"
    if order == "pessimistic":
        net = sum(
            (
                position.contracts
                for account in desk.state.accounts.values()
                for position in account.positions.values()
                if position.inst_id == instrument.inst_id
            ),
            ZERO,
        )
        if net:
            return net < 0
    return zlib.crc32(f"{desk.settings.seed}|{instrument.inst_id}|{queued.at}".encode()) % 2 == 1


def _add_to_bars(market: Market, step: Step) -> list[Bar]:
    """Put the step into its minute; the bars that changed. Minutes without a step are flat."""
    start = step.at // MINUTE_MS * MINUTE_MS
    changed: list[Bar] = []
    latest = market.bars[-1] if market.bars else None
    if latest is None or start > latest.at:
        if latest is not None:
            if not latest.confirmed:
                latest.confirmed = True
                changed.append(latest)
            missing = (start - latest.at) // MINUTE_MS - 1
            if missing <= _GAP_MINUTES_MAX:
                for index in range(missing):
                    at, price = latest.at + (index + 1) * MINUTE_MS, latest.close
                    changed.append(Bar(at, price, price, price, price, ZERO, ZERO, confirmed=True))
                    market.bars.append(changed[-1])
        latest = Bar(start, step.price, step.price, step.price, step.price, ZERO, ZERO)
        market.bars.append(latest)
    latest.high, latest.low = max(latest.high, step.price), min(latest.low, step.price)
    latest.close = step.price
    latest.volume += step.volume
    latest.quote_volume += step.volume * step.price
    changed.append(latest)
    return changed


def _trade(desk: Desk, market: Market, before: BookTop | None, step: Step) -> None:
    side: Side = "sell" if before is not None and step.price < before.last else "buy"
    trade = PublicTrade(
        inst_id=market.inst_id,
        trade_id=desk.new_id(),
        price=step.price,
        size=step.volume,
        side=side,
        at=desk.state.now,
    )
    market.trades.append(trade)
    del market.trades[: -desk.settings.trades_kept]
    desk.pushes.append(TradePushed(sequence=desk.new_sequence(), trade=trade))


def _whole(desk: Desk, now: BookTop, levels: int, *, previous: int) -> Book:
    instrument = desk.state.instruments[now.inst_id]
    bid, ask = best(desk, instrument, now.last)
    deep = range(min(max(levels, 1), BOOK_LEVELS_MAX))
    bids = (bid - index * instrument.tick for index in deep)
    return Book(
        inst_id=now.inst_id,
        bids=tuple(_level(desk, instrument, price) for price in bids if price > 0),
        asks=tuple(_level(desk, instrument, ask + index * instrument.tick) for index in deep),
        sequence=now.sequence,
        previous=previous,
        at=now.at,
    )


def _level(desk: Desk, instrument: Instrument, price: Decimal) -> Level:
    """The size depends on the price alone, so that a level that stays in the book stays as it is."""
    drawn = zlib.crc32(f"{desk.settings.seed}|{instrument.inst_id}|{price.normalize():f}".encode())
    return Level(price, instrument.lot * (1 + drawn % _LEVEL_LOTS), 1 + drawn % 7)


def _changed(old: Sequence[Level], new: Sequence[Level]) -> tuple[Level, ...]:
    known = {level.price: level for level in old}
    there = {level.price for level in new}
    gone = tuple(Level(level.price, ZERO, 0) for level in old if level.price not in there)
    return gone + tuple(level for level in new if known.get(level.price) != level)


def _start(at: int, duration_ms: int, offset_ms: int) -> int:
    return (at - offset_ms) // duration_ms * duration_ms + offset_ms


def _opened(bar: Bar) -> int:
    return bar.at
