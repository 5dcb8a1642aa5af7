"""The part of a prompt that changes: what a snapshot says, one line for each section, as ``name: field=value``."""

from collections.abc import Iterable, Iterator

import msgspec

from oxbot.core.advice_account import Account, Held
from oxbot.core.advice_setups import News
from oxbot.core.advice_snapshot import Snapshot, SymbolShown, digest

UNAVAILABLE = "unavailable"
NONE = "none"


def market_lines(shown: Snapshot) -> Iterator[str]:
    """What is shown of the market, from what changes least to what changes most."""
    yield "## market"
    yield f"timeframe: {shown.timeframe}"
    yield f"fees: taker_bps={shown.taker_fee_bps} maker_bps={shown.maker_fee_bps}"
    yield f"symbols: {' '.join(known.symbol for known in shown.symbols) or NONE}"
    yield f"snapshot: {digest(shown)}"
    for known in shown.symbols:
        yield ""
        yield from _symbol_lines(known)


def account_lines(account: Account) -> Iterator[str]:
    """What is shown of the account."""
    yield "## account"
    yield _line("portfolio", account, without=("held", "waiting", "trades", "memory"))
    yield from _lines("position", map(_position, account.held))
    yield from _lines("waiting_entry", map(fields, account.waiting))
    yield from _lines("closed_trade", map(fields, account.trades))
    yield from _lines("memory", map(fields, account.memory))


def fields(shown: msgspec.Struct, *, without: tuple[str, ...] = ()) -> str:
    """Every field as ``name=value``; what is not known says so."""
    names = (name for name in shown.__struct_fields__ if name not in without)
    return " ".join(f"{name}={_value(getattr(shown, name))}" for name in names)


def _symbol_lines(known: SymbolShown) -> Iterator[str]:
    chart = known.chart
    yield f"### {known.symbol}"
    yield f"mark: {chart.mark}"
    yield f"instrument: kind={known.kind} shorting={known.shorting} candles_old={known.age}"
    for span in chart.spans:
        yield f"last_minutes: {fields(span)}"
    yield _line("indicators", chart.indicators)
    yield _line("higher", chart.higher)
    for name in chart.series.__struct_fields__:
        yield f"series {name} (oldest first): {' '.join(getattr(chart.series, name))}"
    yield from _news_lines(known.news)
    yield _line("pain_trade", chart.pain)
    yield _line("alpha_setups", chart.setups)
    yield from _lines("fair_value_gaps", map(fields, chart.gaps))


def _news_lines(news: News | None) -> Iterator[str]:
    if news is None:
        yield f"sentiment: {UNAVAILABLE}"
        yield f"narrative: {UNAVAILABLE}"
        return
    yield _line("sentiment", news, without=("prices",))
    yield f"narrative: {news.prices or UNAVAILABLE}"


def _position(held: Held) -> str:
    return f"{fields(held, without=('plan',))} plan: {fields(held.plan)}"


def _line(name: str, shown: msgspec.Struct, *, without: tuple[str, ...] = ()) -> str:
    return f"{name}: {fields(shown, without=without)}"


def _lines(name: str, several: Iterable[str]) -> Iterator[str]:
    empty = True
    for line in several:
        empty = False
        yield f"{name}: {line}"
    if empty:
        yield f"{name}: {NONE}"


def _value(value: object) -> str:
    if value is None:
        return UNAVAILABLE
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or NONE
    return str(value)
