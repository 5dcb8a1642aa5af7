"""Lists in pages, walked from either end."""

import base64

import pytest

from events.identifiers import HOUSE, BotId, Symbol, bot_stream
from oxbot.views.fold import row_change
from oxbot.views.rows import OwnedRow, PortfolioRow, PositionRow, TradeRow
from tests.api.stage import BOT, BTC, START, STEP, Stage, items, json, problem, say
from tests.core.scenario import created

pytestmark = pytest.mark.anyio

TRADES = f"/api/v1/bots/{BOT}/trades"


@pytest.fixture(autouse=True)
async def _house_bot(stage: Stage) -> None:
    """The bot whose rows they are is everybody's to read."""
    await say(stage, bot_stream(BOT), created())


def trade(number: int, bot_id: BotId = BOT) -> TradeRow:
    """A trade."""
    return TradeRow(
        bot_id=bot_id,
        number=number,
        symbol=BTC,
        side="long",
        quantity="0.5",
        entry_time=START,
        entry_price="100",
        exit_time=START + STEP,
        exit_price="104",
        fees="0.102",
        net="1.898",
        reason="take_profit",
    )


def portfolio(bot_id: BotId) -> PortfolioRow:
    """A portfolio of a bot that has done nothing."""
    return PortfolioRow(
        bot_id=bot_id,
        quote="USDT",
        cash="10000",
        reserved="0",
        free="10000",
        deposits="10000",
        withdrawals="0",
        realised="0",
        fees="0",
        as_of=None,
    )


def position(symbol: Symbol) -> PositionRow:
    """An open position."""
    return PositionRow(
        bot_id=BOT,
        symbol=symbol,
        side="long",
        quantity="1",
        entry_time=START,
        entry_price="1",
        entry_cost="1",
        fees="0",
        stop_price=None,
        target_price=None,
    )


async def walk(stage: Stage, path: str, **query: str) -> list[list[dict[str, object]]]:
    """Every page of the list."""
    pages = []
    async with stage.client("viewer") as client:
        cursor: object = ""
        while cursor is not None:
            response = await client.get(path, params={**query, "cursor": str(cursor)})
            assert response.status_code == 200, response.text
            pages.append(items(response))
            cursor = json(response)["next"]
    return pages


@pytest.mark.parametrize(("order", "numbers"), [("desc", [5, 4, 3, 2, 1]), ("asc", [1, 2, 3, 4, 5])])
@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6])
async def test_walking_the_pages_meets_every_row_once_in_order(
    stage: Stage, order: str, numbers: list[int], limit: int
) -> None:
    await stage.store(*(trade(number) for number in range(1, 6)), trade(9, BotId("bot-2")))

    pages = await walk(stage, TRADES, order=order, limit=str(limit))

    assert [row["number"] for page in pages for row in page] == numbers
    assert [len(page) for page in pages] == [len(numbers[start : start + limit]) for start in range(0, 5, limit)]


async def test_histories_come_newest_first_a_hundred_at_a_time(stage: Stage) -> None:
    await stage.store(*(trade(number) for number in range(1, 151)))

    pages = await walk(stage, TRADES)

    assert [len(page) for page in pages] == [100, 50]
    assert pages[0][0]["number"] == 150


async def test_rows_are_passed_on_byte_for_byte(stage: Stage) -> None:
    await stage.store(trade(1), trade(2))
    async with stage.client("viewer") as client:
        response = await client.get(TRADES)

    first, second = (row_change(trade(number)).body or b"" for number in (2, 1))
    assert response.content == b'{"items":[' + first + b"," + second + b'],"next":null}'


async def test_a_row_that_comes_in_between_two_pages_shifts_nothing(stage: Stage) -> None:
    await stage.store(*(trade(number) for number in range(1, 5)))
    async with stage.client("viewer") as client:
        first = await client.get(TRADES, params={"limit": "2"})
        await stage.store(trade(5))
        second = await client.get(TRADES, params={"limit": "2", "cursor": str(json(first)["next"])})

    assert [row["number"] for row in items(first) + items(second)] == [4, 3, 2, 1]


async def test_the_overview_pages_across_bots(stage: Stage) -> None:
    bots = [BotId(f"bot-{number}") for number in range(5)]
    await stage.store(*(portfolio(bot_id) for bot_id in reversed(bots)))
    await stage.store(*(OwnedRow(owner_id=HOUSE, bot_id=bot_id) for bot_id in bots))

    pages = await walk(stage, "/api/v1/portfolios", limit="2")

    assert [row["bot_id"] for page in pages for row in page] == bots


async def test_positions_come_in_order_of_symbol(stage: Stage) -> None:
    symbols = [Symbol("BTC/USDT"), Symbol("BTC/USDT:USDT"), Symbol("ETH/USDT")]
    await stage.store(*(position(symbol) for symbol in reversed(symbols)))

    pages = await walk(stage, f"/api/v1/bots/{BOT}/positions", limit="1")

    assert [row["symbol"] for page in pages for row in page] == symbols


def opaque(text: str) -> str:
    """Text in the form of a cursor."""
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=-1",
        "limit=ten",
        "limit=",
        "limit=1_0",
        "limit=" + "9" * 5000,
        "limit=1&limit=2",
        "order=sideways",
        "offset=3",
        "cursor=null",
        "cursor=%00",
        "cursor=!!!!",
        "cursor=A",
        "cursor=_w",
        "cursor=" + "A" * 2000,
        "cursor=" + opaque("trades bot-1 desc"),
        "cursor=" + opaque("trades bot-1 desc\n"),
        "cursor=" + opaque("trades bot-1 desc\n\x00"),
        "cursor=" + opaque("trades bot-1 desc\n" + "9" * 201),
        "cursor=" + opaque("trades bot-1 asc\n0000000001"),
        "cursor=" + opaque("trades bot-2 desc\n0000000001"),
        "cursor=" + opaque("orders bot-1 desc\n0000000001"),
    ],
)
async def test_a_query_that_is_not_one_is_refused(stage: Stage, query: str) -> None:
    await stage.store(trade(1))
    async with stage.client("viewer") as client:
        assert problem(await client.get(f"{TRADES}?{query}"), 400, "bad-request").startswith(("query:", "a query"))
