"""The limits that a bot's risk gate can hold to."""

from datetime import datetime
from decimal import Decimal

import msgspec
from starlette.responses import Response

from events.identifiers import BotId, Symbol
from oxbot.api.as_of import PAST_PROBLEMS, AsOfQuery, then
from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.reading import placed
from oxbot.app.bots import UnknownBot
from oxbot.core.headroom import Used, headroom
from oxbot.core.money import exact, ratio, text
from oxbot.core.risk import RULES, LimitRow, limits_table
from oxbot.core.risk_limits import value_text
from oxbot.views.amounts import Amount
from oxbot.views.rows import BotRow


class LimitsTable(msgspec.Struct, frozen=True, kw_only=True):
    """Every rule of the gate with its limits, in the order in which they are asked."""

    items: list[LimitRow]


class LimitSet(msgspec.Struct, frozen=True, kw_only=True):
    """A limit as the bot has it, in words: a number, yes or no, or none."""

    rule: str
    limit: str
    unit: str
    value: str


class LimitUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule allows and what is used of it now, in the rule's unit; ``symbol`` is null for the bot as a whole.

    ``left`` is what it leaves; below 0 it is passed, or, of candles since a trade, so many are still to come. ``share``
    is how much of it is used, null where nothing is allowed. ``kept``: the rule holds no entry back by this alone.
    """

    rule: str
    symbol: Symbol | None
    unit: str
    meaning: str
    limit: Amount
    used: Amount
    left: Amount
    share: Amount | None
    kept: bool


class Headroom(msgspec.Struct, frozen=True, kw_only=True):
    """A bot's limits, and what is used of those that can be used without an entry, at the newest closes.

    The rest are asked of each entry alone; the fleet's are counted when an entry is judged.
    """

    bot_id: BotId
    at: datetime
    equity: Amount
    free: Amount
    limits: list[LimitSet]
    items: list[LimitUse]


async def list_limits(call: Call[Nothing, Nothing]) -> Response:
    """The whole table."""
    del call
    return answer(LimitsTable(items=limits_table()))


async def show_headroom(call: Call[AsOfQuery, Nothing]) -> Response:
    """What is used of each of a bot's limits."""
    async with then(call) as found:
        body = await found.rows.row("bots", call.bot_id)
    if body is None:
        raise UnknownBot("there is no such bot")
    past = found.past or await call.services.reads.history.at(call.bot_id, found.position)
    state = past.state
    begun = state.configuration.market.begins_at
    newest = await call.services.equity.newest(
        msgspec.json.decode(body, type=BotRow), last=None if found.past is None else state.cursor or begun
    )
    at = max([state.cursor or begun, *(candle.open_time for candle in newest.values())])
    marks = {symbol: candle.close for symbol, candle in newest.items()}
    with exact():
        priced = {symbol: held.entry_price for symbol, held in state.ledger.positions.items()}
        equity = state.ledger.equity(dict.fromkeys(state.ledger.dust, Decimal(0)) | priced | marks)
    shown = Headroom(
        bot_id=call.bot_id,
        at=at,
        equity=text(equity),
        free=text(state.free),
        limits=[
            LimitSet(
                rule=row.rule,
                limit=row.limit,
                unit=row.unit,
                value=value_text(state.configuration.limits, row.limit),
            )
            for row in limits_table()
            if row.limit
        ],
        items=[_use(used) for used in headroom(state, marks, at)],
    )
    return await placed(call, answer(shown), found.position)


def _use(used: Used) -> LimitUse:
    rule = RULES[used.rule]
    return LimitUse(
        rule=used.rule,
        symbol=used.symbol,
        unit=rule.unit,
        meaning=rule.description,
        limit=text(used.limit),
        used=text(used.used),
        left=text(used.left),
        share=text(ratio(used.used, used.limit)) if used.limit > 0 else None,
        kept=used.kept,
    )


OPERATIONS: tuple[Operation, ...] = (
    operation(
        list_limits,
        name="list_limits",
        method="GET",
        path=f"{PREFIX}/risk/limits",
        least="viewer",
        of="installation",
        summary="The rules of the risk gate and the limits that can be set.",
        query=Nothing,
        body=Nothing,
        answer=LimitsTable,
    ),
    operation(
        show_headroom,
        name="show_headroom",
        method="GET",
        path=f"{PREFIX}/bots/{{bot_id}}/risk",
        least="viewer",
        of="bot",
        summary="A bot's risk limits, and what is used of them now.",
        query=AsOfQuery,
        body=Nothing,
        answer=Headroom,
        problems=PAST_PROBLEMS,
    ),
)
