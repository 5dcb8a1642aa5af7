"""What a cycle has to do with advice: taking what came, giving up what did not, and asking for more."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from events.advice import AdviceClass, AdviceLapsed, AdviceRequested, AdviceTaken, Sentiment
from events.identifiers import Symbol
from oxbot.core.advice import advice_id
from oxbot.core.advice_bounds import SYMBOLS_MAX
from oxbot.core.advice_snapshot import askable, digest, snapshot
from oxbot.core.bot_state import BotState, Standing
from oxbot.core.market_view import MarketView
from oxbot.core.risk import LETS_THROUGH
from oxbot.core.strategy import AdviceTerms


class Asking(NamedTuple):
    """An advised bot at the close of a candle, after all else that its cycle does.

    ``window`` is how many candles of a symbol its strategy must know.
    """

    state: BotState
    terms: AdviceTerms
    window: int
    open_time: datetime
    view: MarketView
    standing: Standing
    sentiments: Mapping[Symbol, Sentiment]


def due(state: BotState, terms: AdviceTerms, open_time: datetime) -> bool:
    """Whether the bot may ask at the close of the candle that opened then."""
    return _due(state, terms, open_time) is not None


def heard(state: BotState, open_time: datetime) -> AdviceTaken | AdviceLapsed | None:
    """What becomes of the pending request at this candle: an answer is taken, one that can only be late given up.

    An answer that comes after this candle is known to candles that open when it closes, or later.
    """
    pending = state.advice.pending
    if pending is None:
        return None
    if state.advice.answer is not None:
        return AdviceTaken(advice_id=pending.advice_id, at=open_time, stale=open_time >= pending.expires_at)
    if open_time + state.candle >= pending.expires_at:
        return AdviceLapsed(advice_id=pending.advice_id, at=open_time)
    return None


def wanted(asking: Asking) -> AdviceRequested | None:
    """The request for advice at this candle, if one is due and could lead to anything."""
    state, terms = asking.state, asking.terms
    if state.advice.waiting or not _of_use(state, asking.standing):
        return None
    number = _due(state, terms, asking.open_time)
    symbols = _asked_about(asking, number) if number is not None else ()
    if not symbols:
        return None
    sentiments = tuple(asking.sentiments[symbol] for symbol in symbols if symbol in asking.sentiments)
    version = terms.template_version
    shown = snapshot(state, asking.view, symbols, terms.template, sentiments, version=version)
    return AdviceRequested(
        advice_id=advice_id(state.bot_id, state.advice.requested + 1),
        at=asking.open_time,
        model=terms.model,
        template=terms.template,
        template_version=version,
        snapshot=digest(shown),
        symbols=symbols,
        advice_class=_class(state),
        expires_at=asking.open_time + (1 + terms.valid_candles) * state.candle,
        parameters=terms.parameters,
        sentiments=sentiments,
    )


def _of_use(state: BotState, standing: Standing) -> bool:
    """Whether its strategy may enter or exit anything."""
    let_through = LETS_THROUGH[standing.trading]
    if standing.status == "running" and "entry" in let_through:
        return True
    managed = standing.status in {"running", "paused"} and "exit_signal" in let_through
    return managed and bool(state.ledger.positions)


def _due(state: BotState, terms: AdviceTerms, open_time: datetime) -> int | None:
    """How many requests were due before this candle's, since its market began; None if none is due at its close."""
    closed: int = (open_time - state.configuration.market.begins_at) // state.candle + 1
    return closed // terms.every - 1 if closed > 0 and closed % terms.every == 0 else None


def _asked_about(asking: Asking, number: int) -> tuple[Symbol, ...]:
    """The symbols of which enough is known up to this candle; of many the next part in turn."""
    followed = sorted(instrument.symbol for instrument in asking.state.configuration.market.instruments)
    chosen = [symbol for symbol in followed if asking.terms.symbols is None or symbol in asking.terms.symbols]
    parts = [chosen[first : first + SYMBOLS_MAX] for first in range(0, len(chosen), SYMBOLS_MAX)]
    part: Sequence[Symbol] = parts[number % len(parts)] if parts else ()
    return askable(asking.view, [symbol for symbol in part if _known(asking, symbol)])


def _known(asking: Asking, symbol: Symbol) -> bool:
    window = asking.view[symbol]
    last = window.last
    return last is not None and last.open_time == asking.open_time and len(window) >= asking.window


def _class(state: BotState) -> AdviceClass:
    if state.ledger.positions:
        return "exit"
    return "live" if state.live else "paper"
