"""What a bot has asked a model and was told: one request at a time, the newest opinion on each symbol, the misses."""

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

import msgspec

from events.advice import (
    AdviceAbstained,
    AdviceFact,
    AdviceLapsed,
    AdviceReceived,
    AdviceRequested,
    AdviceTaken,
    Opinion,
)
from events.bot import Intent
from events.errors import OxbotError
from events.identifiers import AdviceId, BotId, Symbol
from oxbot.core.advice_bounds import CONFIDENCE_MAX, WEIGHT_MAX
from oxbot.core.refused import CommandRefused

LAPSED_KEPT = 16
"""So many requests that were given up are remembered: an answer to them is put on record and counts for nothing."""

SAFE_MODE_MISSES = 3
"""So many misses in a row are no accident any more."""

Answered = AdviceReceived | AdviceAbstained


class BrokenAdvice(OxbotError):
    """A fact of advice that cannot follow those before it."""


class RecordAdvice(msgspec.Struct, frozen=True):
    """Put on record what came of a request; once for each, whoever says it how often."""

    fact: Answered


class TakenOpinion(msgspec.Struct, frozen=True, kw_only=True):
    """An opinion that counts for candles that open before ``expires_at``, and what the bot has made of it so far.

    ``may_enter`` ends with the first entry that was decided on it, allowed or not, and with any position in the symbol
    that was closed by something else than a strategy's exit.
    """

    opinion: Opinion
    advice_id: AdviceId
    expires_at: datetime
    may_enter: bool = True
    may_reduce: bool = True


class AdviceBook(msgspec.Struct, frozen=True, kw_only=True):
    """The advice of one bot.

    ``pending`` was asked for and is neither taken nor given up; ``answer`` is what came of it, before a cycle has taken
    it. ``lapsed`` were given up, and nothing has come of them yet. ``misses`` counts how many requests in a row have
    led to no advice: abstained, stale or lapsed.
    """

    requested: int = 0
    pending: AdviceRequested | None = None
    answer: AdviceReceived | AdviceAbstained | None = None
    opinions: dict[Symbol, TakenOpinion] = {}
    lapsed: tuple[AdviceId, ...] = ()
    misses: int = 0

    @property
    def waiting(self) -> bool:
        """Whether an answer may come, or has come and is not taken."""
        return self.pending is not None

    @property
    def safe_mode(self) -> bool:
        """Whether advice has failed to come several times in a row: nothing is entered, exits go on."""
        return self.misses >= SAFE_MODE_MISSES

    def usable(self, symbol: Symbol, open_time: datetime, *, held: bool) -> TakenOpinion | None:
        """The newest opinion on the symbol at that candle, unless it is too old or nothing is left to do on it."""
        taken = self.opinions.get(symbol)
        if taken is None or taken.expires_at <= open_time:
            return None
        done = taken.opinion.action == "reduce" and not taken.may_reduce if held else not taken.may_enter
        return None if done else taken

    def decided(self, symbol: Symbol, advice_id: AdviceId, intent: Intent) -> "AdviceBook":
        """The book once the bot has decided something on that advice."""
        taken = self.opinions.get(symbol)
        if taken is None or taken.advice_id != advice_id:
            return self
        match intent:
            case "enter_long" | "enter_short":
                return self._with(symbol, msgspec.structs.replace(taken, may_enter=False))
            case "reduce":
                return self._with(symbol, msgspec.structs.replace(taken, may_reduce=False))
            case "exit":
                return self
            case _:
                assert_never(intent)

    def closed(self, symbol: Symbol, reason: str) -> "AdviceBook":
        """The book once a position in the symbol was closed for that reason: an opinion older than that is used up."""
        taken = self.opinions.get(symbol)
        if taken is None or reason == "exit_signal":
            return self
        return self._with(symbol, msgspec.structs.replace(taken, may_enter=False))

    def _with(self, symbol: Symbol, taken: TakenOpinion) -> "AdviceBook":
        return msgspec.structs.replace(self, opinions={**self.opinions, symbol: taken})


NO_ADVICE = AdviceBook()


def advice_id(bot_id: BotId, number: int) -> AdviceId:
    """The identifier of a bot's request, counted from 1."""
    return AdviceId(f"{bot_id}-a{number}")


def recorded_advice(command: RecordAdvice, book: AdviceBook) -> Sequence[Answered]:
    """The fact, if it is the first answer to a request that waits for one or was given up not long ago; else nothing.

    Raises ``CommandRefused`` for opinions that nobody had asked for.
    """
    fact = command.fact
    if fact.advice_id in book.lapsed:
        return [fact]
    if book.pending is None or book.answer is not None or fact.advice_id != book.pending.advice_id:
        return []
    if isinstance(fact, AdviceReceived):
        _check(fact.opinions, book.pending.symbols)
    return [fact]


def with_advice(book: AdviceBook, fact: AdviceFact) -> AdviceBook:
    """The book after the fact. Raises ``BrokenAdvice`` for one that cannot follow."""
    match fact:
        case AdviceRequested():
            if book.pending is not None:
                raise BrokenAdvice(f"{fact.advice_id} was asked for while {book.pending.advice_id} is pending")
            return msgspec.structs.replace(book, pending=fact, requested=book.requested + 1)
        case AdviceReceived() | AdviceAbstained():
            return _answered(book, fact)
        case AdviceTaken():
            return _taken(book, fact)
        case AdviceLapsed():
            pending = _pending(book, fact)
            return msgspec.structs.replace(
                book,
                pending=None,
                answer=None,
                misses=book.misses + 1,
                lapsed=(*book.lapsed, pending.advice_id)[-LAPSED_KEPT:],
            )
        case _:
            assert_never(fact)


def _answered(book: AdviceBook, fact: Answered) -> AdviceBook:
    if fact.advice_id in book.lapsed:
        return msgspec.structs.replace(book, lapsed=tuple(known for known in book.lapsed if known != fact.advice_id))
    if book.pending is None or book.answer is not None or book.pending.advice_id != fact.advice_id:
        return book
    return msgspec.structs.replace(book, answer=fact)


def _taken(book: AdviceBook, fact: AdviceTaken) -> AdviceBook:
    """What is asked about and not answered has no opinion; that of an earlier answer on it is gone."""
    pending, answer = _pending(book, fact), book.answer
    if answer is None:
        raise BrokenAdvice(f"{fact.advice_id} was taken, and nothing had come of it")
    after = msgspec.structs.replace(book, pending=None, answer=None)
    if fact.stale or isinstance(answer, AdviceAbstained):
        return msgspec.structs.replace(after, misses=book.misses + 1)
    opinions = {
        symbol: taken
        for symbol, taken in book.opinions.items()
        if symbol not in pending.symbols and taken.expires_at > fact.at
    }
    for opinion in answer.opinions:
        opinions[opinion.symbol] = TakenOpinion(
            opinion=opinion, advice_id=fact.advice_id, expires_at=pending.expires_at
        )
    return msgspec.structs.replace(after, opinions=opinions, misses=0)


def _pending(book: AdviceBook, fact: AdviceTaken | AdviceLapsed) -> AdviceRequested:
    if book.pending is None or book.pending.advice_id != fact.advice_id:
        raise BrokenAdvice(f"{type(fact).__name__} names {fact.advice_id}, which is not pending")
    return book.pending


def _check(opinions: Sequence[Opinion], asked: Sequence[Symbol]) -> None:
    symbols = [opinion.symbol for opinion in opinions]
    if len(set(symbols)) != len(symbols) or not set(symbols) <= set(asked):
        raise CommandRefused(f"there are opinions on {symbols}, and {list(asked)} were asked about, each once")
    for opinion in opinions:
        if not (0 <= opinion.weight <= WEIGHT_MAX and 0 <= opinion.confidence <= CONFIDENCE_MAX):
            raise CommandRefused(
                f"{opinion.symbol}: weight {opinion.weight} must be 0 to {WEIGHT_MAX} and confidence "
                f"{opinion.confidence} 0 to {CONFIDENCE_MAX}"
            )
