"""What ``oxbot accounts`` says of an account, and what it takes for a moment."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from events.identifiers import AccountName, BotId, OrderId, Symbol, VenueName
from oxbot.app.account_report import AccountDetails, Doubt, Killed, Stranger
from oxbot.cli.accounts import described
from oxbot.cli.inputs import InvalidInput, parse_until

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
ETH = Symbol("ETH/USDT:USDT")


def test_an_account_is_told_line_by_line() -> None:
    account = AccountDetails(
        account=AccountName("main"),
        venue=VenueName("okx"),
        market=VenueName("okx-local"),
        demo=True,
        rest="http://127.0.0.1:8030",
        ws="ws://127.0.0.1:8030",
        keys="0a1b2c3d",
        armed_until=NOW,
        reconciled=False,
        obstacles=("its arming has run out", "50111: no such key"),
        bots=(BotId("one"), BotId("two")),
        reconciled_at=NOW,
        epoch=3,
        leverages={ETH: Decimal(3)},
        strangers=(Stranger(at=NOW, kind="order", symbol=ETH, words="an open buy order"),),
        in_doubt=(Doubt(bot_id=BotId("one"), order_id=OrderId("one-7"), symbol=ETH, status="in_doubt"),),
        killed=Killed(at=NOW, policy="close", cancelled=2, closed=1, left=("bot two: long 1 ETH",)),
    )
    assert described(account) == [
        "account     main (okx-local, demo, at http://127.0.0.1:8030)",
        "entries     its arming has run out; 50111: no such key",
        "keys        0a1b2c3d",
        "armed       2024-05-01T12:00:00Z",
        "reconciled  no",
        "bots        one, two",
        "granted to  nobody",
        "leverage    ETH/USDT:USDT 3",
        "in doubt    one-7 of bot one in ETH/USDT:USDT: in_doubt",
        "stranger    since 2024-05-01T12:00:00Z: an open buy order",
        "killed      at 2024-05-01T12:00:00Z (close): 2 entries cancelled, 1 positions closed, 1 things left",
        "left        bot two: long 1 ETH",
    ]


@pytest.mark.parametrize(
    ("until", "lasting", "moment"),
    [
        ("2024-05-02", None, NOW + timedelta(hours=12)),
        (None, "30m", NOW + timedelta(minutes=30)),
        (None, "8h", NOW + timedelta(hours=8)),
        (None, "2d", NOW + timedelta(days=2)),
    ],
)
def test_a_moment_is_named_or_said_by_how_long_it_is_to_it(
    until: str | None, lasting: str | None, moment: datetime
) -> None:
    assert parse_until(until, lasting, NOW) == moment


@pytest.mark.parametrize(
    ("until", "lasting"), [(None, None), ("2024-05-02", "8h"), (None, "8"), (None, "0h"), (None, "-1h"), (None, "8 h")]
)
def test_what_is_no_moment_is_refused(until: str | None, lasting: str | None) -> None:
    with pytest.raises(InvalidInput):
        parse_until(until, lasting, NOW)
