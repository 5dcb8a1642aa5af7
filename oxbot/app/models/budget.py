"""What bots, their owners and their fleets have spent on models today, and whether there is room for one more call."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from events.identifiers import BotId
from events.models import ModelCallBegun, ModelCallEnded
from oxbot.app.models.known import Budgets, SpendLimit
from oxbot.app.models.wanted import Payer
from oxbot.core.models_stream import Spent, share, token_share, tokens_of
from oxbot.core.money import ZERO, exact, prorate


class _Sum:
    """What was spent, and what is reserved for calls under way, in US dollars and tokens."""

    __slots__ = ("tokens", "usd")

    def __init__(self) -> None:
        self.usd = ZERO
        self.tokens = 0

    def add(self, usd: Decimal, tokens: int) -> None:
        self.usd += usd
        self.tokens += tokens


class Group(NamedTuple):
    """Somebody who has a budget: a bot, an owner, of whom the house is one, or a fleet."""

    kind: str
    name: str

    def __str__(self) -> str:
        """In words."""
        return f"{self.kind} {self.name}" if self.name else "the house"


class SpendBook:
    """The books of one day. A call is reserved at its most before it is begun and settled once it has ended.

    What a call is reserved at is the most that it may come to, so a budget is overdrawn only by a provider that counts
    more tokens than were let through; then nothing more is begun.
    """

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets
        self._day: date | None = None
        self._sums: dict[Group, _Sum] = {}
        self._payers: dict[BotId, Payer] = {}

    def know(self, bot_id: BotId, payer: Payer) -> None:
        """Who pays for the bot."""
        self._payers[bot_id] = payer

    def restore(
        self,
        spent: Mapping[BotId, Spent],
        under_way: Iterable[ModelCallBegun],
        *,
        payers: Mapping[BotId, Payer],
        at: datetime,
    ) -> None:
        """Begin with what the log says was spent that day."""
        self._payers.update(payers)
        self._turn(at)
        self._sums.clear()
        for bot_id, known in spent.items():
            if known.day == self._day:
                self._add(bot_id, known.usd, known.tokens)
        for begun in under_way:
            self.reserve(begun)

    def left(self, group: Group, *, at: datetime) -> tuple[Decimal, int]:
        """What the group may still spend that day: US dollars and tokens, never below nothing."""
        self._turn(at)
        limit, known = self._limit(group), self._sums.get(group, _Sum())
        return max(ZERO, limit.usd_per_day - known.usd), max(0, limit.tokens_per_day - known.tokens)

    def lacking(self, bots: Iterable[BotId], *, usd: Decimal, tokens: int, at: datetime) -> dict[BotId, str]:
        """Who of those that would share a call cannot pay an equal part of its most, and why.

        The fewer share it the more each must pay, so whoever stays is asked again until all that are left can.
        """
        self._turn(at)
        staying = list(bots)
        lacking: dict[BotId, str] = {}
        while staying:
            part = usd if len(staying) == 1 else prorate(usd, Decimal(1), Decimal(len(staying)))
            poor = self._poor(staying, part, -(-tokens // len(staying)))
            if not poor:
                break
            lacking.update(poor)
            staying = [bot_id for bot_id in staying if bot_id not in poor]
        return lacking

    def reserve(self, begun: ModelCallBegun) -> None:
        """A call is about to be made."""
        self._turn(begun.at)
        if begun.at.date() != self._day:
            return
        for bot_id in begun.shares:
            self._add(bot_id, share(begun.reserved, begun), token_share(begun.reserved_tokens, begun))

    def settle(self, begun: ModelCallBegun, ended: ModelCallEnded) -> None:
        """A call has ended."""
        if begun.at.date() != self._day:
            return
        with exact():
            usd = share(ended.cost, begun) - share(begun.reserved, begun)
        tokens = token_share(tokens_of(begun, ended), begun) - token_share(begun.reserved_tokens, begun)
        for bot_id in begun.shares:
            self._add(bot_id, usd, tokens)

    def _poor(self, bots: list[BotId], usd: Decimal, tokens: int) -> dict[BotId, str]:
        """Who cannot pay so much, if one after the other did."""
        asked: dict[Group, _Sum] = {}
        poor: dict[BotId, str] = {}
        with exact():
            self._walk(bots, usd, tokens, asked=asked, poor=poor)
        return poor

    def _walk(
        self, bots: list[BotId], usd: Decimal, tokens: int, *, asked: dict[Group, _Sum], poor: dict[BotId, str]
    ) -> None:
        for bot_id in bots:
            groups = self._groups(bot_id)
            short = next((group for group in groups if not self._fits(group, asked.get(group), usd, tokens)), None)
            if short is not None:
                poor[bot_id] = f"the budget of {short} for today is used up"
                continue
            for group in groups:
                asked.setdefault(group, _Sum()).add(usd, tokens)

    def _fits(self, group: Group, asked: _Sum | None, usd: Decimal, tokens: int) -> bool:
        limit, known = self._limit(group), self._sums.get(group)
        spent_usd, spent_tokens = (known.usd, known.tokens) if known else (ZERO, 0)
        asked_usd, asked_tokens = (asked.usd, asked.tokens) if asked else (ZERO, 0)
        return (
            spent_usd + asked_usd + usd <= limit.usd_per_day
            and spent_tokens + asked_tokens + tokens <= limit.tokens_per_day
        )

    def _groups(self, bot_id: BotId) -> list[Group]:
        payer = self._payers[bot_id]
        return [Group("bot", bot_id), Group("owner", payer.owner), Group("fleet", payer.fleet)]

    def _limit(self, group: Group) -> SpendLimit:
        limits = {"bot": self._budgets.bot, "owner": self._budgets.owner, "fleet": self._budgets.fleet}
        return limits[group.kind]

    def _add(self, bot_id: BotId, usd: Decimal, tokens: int) -> None:
        with exact():
            for group in self._groups(bot_id):
                self._sums.setdefault(group, _Sum()).add(usd, tokens)

    def _turn(self, at: datetime) -> None:
        """A new day begins with nothing spent; calls of the day before are settled in its books, which are closed."""
        if self._day is None or at.date() > self._day:
            self._day = at.date()
            self._sums.clear()
