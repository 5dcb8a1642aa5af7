"""What a bot asked, put into words again: from its stream up to just before the request, and from stored candles."""

from collections import OrderedDict
from datetime import datetime
from typing import NamedTuple

from events.advice import AdviceRequested
from events.errors import OxbotError
from events.values import MarketReference
from oxbot.app.candle_store import CandleStore
from oxbot.app.models.transport import Message
from oxbot.app.models.wanted import Prompt, Reading, Unreadable
from oxbot.core.advice_answer import AskedFor, Faulty, answer_schema, asked_for, read_answer, repair_message
from oxbot.core.advice_snapshot import UnknownTemplate, digest, snapshot
from oxbot.core.bot import BotDecider
from oxbot.core.bot_state import BotState
from oxbot.core.candles import Series
from oxbot.core.market_view import MarketView
from oxbot.core.prompts import render

VIEWS_KEPT = 16


class SnapshotDiffers(OxbotError):
    """What the bot saw when it asked is not what is seen now, so an answer would be to another question."""


class Worded(NamedTuple):
    """A request in words, and what an answer to it must answer to."""

    prompt: Prompt
    asked: AskedFor

    def reader(self, *, lenient: bool) -> "AnswerReader":
        """What reads the answers to it."""
        return AnswerReader(self.asked, lenient=lenient)


class AnswerReader:
    """Reads raw answers to one request; a ``Reader``. With ``lenient`` an answer may stand in a code fence."""

    def __init__(self, asked: AskedFor, *, lenient: bool) -> None:
        self._asked = asked
        self._lenient = lenient

    def __call__(self, raw: str) -> Reading | Unreadable:
        """What the answer says, or why it says nothing."""
        found = read_answer(raw, self._asked, lenient=self._lenient)
        if isinstance(found, Faulty):
            fault = f"{found.code}: {found.detail}" if found.detail else found.code
            return Unreadable(fault=fault, repair=repair_message(found).content)
        return Reading(opinions=found.opinions, refusals=found.refusals, lenient=found.repaired)


class _Seen(NamedTuple):
    """What a market view is of; bots of a cohort that ask at one candle share it."""

    market: MarketReference
    capacity: int
    at: datetime


class Wording:
    """Puts requests into words, with what the last few were shown at hand."""

    def __init__(self, candles: CandleStore, decider: BotDecider) -> None:
        self._candles = candles
        self._decider = decider
        self._views: OrderedDict[_Seen, MarketView] = OrderedDict()

    async def of(self, state: BotState, request: AdviceRequested) -> Worded:
        """The prompt of a bot that was as ``state`` says just before it asked. Raises ``SnapshotDiffers``."""
        view = await self._view(state, request.at)
        try:
            shown = snapshot(
                state, view, request.symbols, request.template, request.sentiments, version=request.template_version
            )
            messages = render(request.template, request.template_version, shown)
        except UnknownTemplate as error:
            raise SnapshotDiffers(str(error)) from error
        found = digest(shown)
        if found != request.snapshot:
            raise SnapshotDiffers(f"the snapshot is {found} here, and the bot asked about {request.snapshot}")
        asked = asked_for(shown)
        turns = tuple(Message(message.role, message.content) for message in messages)
        return Worded(Prompt(turns, answer_schema(asked)), asked)

    async def _view(self, state: BotState, at: datetime) -> MarketView:
        """The market as the bot saw it at the close of the candle that opened then."""
        market = state.configuration.market
        seen = _Seen(market, self._decider.window(state), at)
        view = self._views.get(seen)
        if view is None:
            view = MarketView.of(market, capacity=seen.capacity)
            for instrument in market.instruments:
                series = Series(market.venue, instrument.symbol, market.timeframe)
                candles = await self._candles.window(series, last=at, count=seen.capacity)
                view.warm(instrument.symbol, (candle for candle in candles if candle.open_time >= market.begins_at))
            self._views[seen] = view
            if len(self._views) > VIEWS_KEPT:
                self._views.popitem(last=False)
        self._views.move_to_end(seen)
        return view
