"""The books of what is spent: nothing is begun that a bot, its owner or its fleet could not pay, whatever comes."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from events.advice import Usage
from events.identifiers import AdviceId, BodyHash, BotId, CallId, FleetName
from events.models import ModelCallBegun, ModelCallEnded
from oxbot.app.models.budget import Group, SpendBook
from oxbot.app.models.known import Budgets, SpendLimit
from oxbot.app.models.wanted import Payer
from oxbot.core.models_stream import Spent
from tests.app.models.world import MODEL
from tests.core.scenario import START

BOTS = [BotId(f"{owner}{number}") for owner in "xyz" for number in range(4)]
LIMITS = Budgets(
    bot=SpendLimit(usd_per_day=Decimal("0.05"), tokens_per_day=4000),
    owner=SpendLimit(usd_per_day=Decimal("0.12"), tokens_per_day=10_000),
    fleet=SpendLimit(usd_per_day=Decimal("0.3"), tokens_per_day=25_000),
)
GROUPS = [
    *(Group("bot", bot_id) for bot_id in BOTS),
    *(Group("owner", owner) for owner in "xyz"),
    Group("fleet", "fleet"),
]


def payer(bot_id: BotId) -> Payer:
    return Payer(bot_id[0], FleetName("fleet"))


def book() -> SpendBook:
    made = SpendBook(LIMITS)
    for bot_id in BOTS:
        made.know(bot_id, payer(bot_id))
    return made


def call(number: int, usd: Decimal, tokens: int, shares: list[BotId], *, days: int = 0) -> ModelCallBegun:
    return ModelCallBegun(
        call_id=CallId(f"call-{number}"),
        at=START + timedelta(days=days),
        model=MODEL,
        provider_model="openai/model",
        prompt=BodyHash("0" * 64),
        attempt=1,
        reserved=usd,
        reserved_tokens=tokens,
        shares=tuple(shares),
        price_version="1",
        advice=tuple(AdviceId(f"{bot_id}-a{number}") for bot_id in shares),
    )


def limit_of(group: Group) -> SpendLimit:
    return {"bot": LIMITS.bot, "owner": LIMITS.owner, "fleet": LIMITS.fleet}[group.kind]


class Spending(RuleBasedStateMachine):
    """Calls begin, end or are lost in any order, over days; a naive sum of what is on record is the reference."""

    def __init__(self) -> None:
        super().__init__()
        self.book = book()
        self.days = 0
        self.numbers = 0
        self.open: list[ModelCallBegun] = []
        self.paid: list[tuple[ModelCallBegun, Decimal, int]] = []

    @rule(
        cents=st.decimals("0", "0.06", places=6),
        tokens=st.integers(0, 5000),
        bots=st.lists(st.sampled_from(BOTS), min_size=1, unique=True),
    )
    def begin(self, cents: Decimal, tokens: int, bots: list[BotId]) -> None:
        now = START + timedelta(days=self.days)
        lacking = self.book.lacking(bots, usd=cents, tokens=tokens, at=now)
        staying = [bot_id for bot_id in bots if bot_id not in lacking]
        if staying:
            self.numbers += 1
            begun = call(self.numbers, cents, tokens, staying, days=self.days)
            self.book.reserve(begun)
            self.open.append(begun)

    @rule(which=st.integers(0, 100), part=st.integers(0, 100))
    def end(self, which: int, part: int) -> None:
        if self.open:
            begun = self.open.pop(which % len(self.open))
            cost, tokens = begun.reserved * part / 100, begun.reserved_tokens * part // 100
            ended = ModelCallEnded(
                call_id=begun.call_id, at=begun.at, outcome="provider_error", cost=cost, usage=Usage(input=tokens)
            )
            self.book.settle(begun, ended)
            self.paid.append((begun, cost, tokens))

    @rule()
    def next_day(self) -> None:
        self.days += 1

    @invariant()
    def nobody_spends_more_than_its_budget(self) -> None:
        now = START + timedelta(days=self.days)
        for group in GROUPS:
            usd, tokens = self._spent(group)
            limit = limit_of(group)
            assert usd <= limit.usd_per_day + Decimal("1e-15")
            assert tokens <= limit.tokens_per_day
            left_usd, left_tokens = self.book.left(group, at=now)
            assert abs(left_usd - (limit.usd_per_day - usd)) <= Decimal("1e-15")
            assert left_tokens == limit.tokens_per_day - tokens

    def _spent(self, group: Group) -> tuple[Decimal, int]:
        usd, tokens = Decimal(0), 0
        known = [(begun, begun.reserved, begun.reserved_tokens) for begun in self.open] + self.paid
        for begun, cost, counted in known:
            if begun.at == START + timedelta(days=self.days):
                paying = sum(group in _groups(bot_id) for bot_id in begun.shares)
                usd += cost * paying / len(begun.shares)
                tokens += -(-counted // len(begun.shares)) * paying
        return usd, tokens


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=40, stateful_step_count=30)


def _groups(bot_id: BotId) -> tuple[Group, ...]:
    return Group("bot", bot_id), Group("owner", payer(bot_id).owner), Group("fleet", "fleet")


@given(usd=st.decimals("0.001", "1", places=6), bots=st.integers(1, 12))
def test_who_cannot_pay_leaves_and_the_others_pay_more_until_they_can(usd: Decimal, bots: int) -> None:
    lacking = book().lacking(BOTS[:bots], usd=usd, tokens=0, at=START)
    staying = bots - len(lacking)
    assert staying == 0 or usd / staying <= LIMITS.bot.usd_per_day + Decimal("1e-15")


def test_what_the_log_says_was_spent_today_counts_and_what_was_spent_before_does_not() -> None:
    made = SpendBook(LIMITS)
    spent = {
        BOTS[0]: Spent(day=START.date(), usd=Decimal("0.05"), tokens=10, served_at=START),
        BOTS[1]: Spent(day=(START - timedelta(days=1)).date(), usd=Decimal("0.05"), served_at=START),
    }
    made.restore(spent, [], payers={bot_id: payer(bot_id) for bot_id in spent}, at=START)
    lacking = made.lacking(BOTS[:2], usd=Decimal("0.001"), tokens=1, at=START)
    assert lacking == {BOTS[0]: "the budget of bot x0 for today is used up"}


def test_the_house_is_an_owner_like_any_other() -> None:
    made, house = SpendBook(LIMITS), [BotId(f"h{number}") for number in range(4)]
    for bot_id in house:
        made.know(bot_id, Payer("", FleetName("fleet")))
    spent = {bot_id: Spent(day=START.date(), usd=Decimal("0.04"), tokens=1, served_at=START) for bot_id in house[:3]}
    made.restore(spent, [], payers={}, at=START)
    assert made.left(Group("owner", ""), at=START)[0] == 0
    lacking = made.lacking(house[3:], usd=Decimal("0.001"), tokens=1, at=START)
    assert lacking == {house[3]: "the budget of the house for today is used up"}
