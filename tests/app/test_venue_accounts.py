"""Accounts at venues through the use cases: opened, given keys, armed, killed; and shown, with what is in the way."""

from datetime import timedelta
from decimal import Decimal

import pytest

from events.account import (
    AccountArmed,
    AccountClaimed,
    AccountDisarmed,
    AccountFact,
    AccountKeysSet,
    AccountKillDone,
    AccountKillRequested,
    AccountOpened,
    AccountReconciled,
    AccountUnreconciled,
    StrangerSeen,
)
from events.bot import BotFact, OrderInDoubt, OrderRequested, OrderSubmitted
from events.codec import Codec
from events.identifiers import AccountName, BotId, DecisionId, OrderId, VenueName, account_stream, bot_stream
from events.memory import MemoryEventLog
from oxbot.adapters.memory_failing_bots import MemoryFailingBots
from oxbot.app.account_directory import AccountDirectory, AccountFailures, market_of
from oxbot.app.account_report import AccountReader
from oxbot.app.bots import NewBot
from oxbot.app.venue import VenueUnfit
from oxbot.app.venue_accounts import ApiKeys, InvalidAccount, UnknownAccount, VenueAccounts, check_addresses
from oxbot.core.bot import StopBot
from oxbot.core.refused import CommandRefused
from oxbot.core.venue_account import OpenAccount
from tests.app.accounts import happened, open_account
from tests.app.fakes import tell, write
from tests.app.test_bots import NOW, GivenMarket, commands
from tests.core.scenario import BTC, DECIDER, instrument, moment
from tests.simulation.execution_world import SWAP, decision

pytestmark = pytest.mark.anyio

MAIN = AccountName("main")
OPEN = OpenAccount(MAIN, VenueName("okx"))
KEYS = ApiKeys(api_key="the-key", secret="the-secret", password="the-password")  # noqa: S106 - planted
TOMORROW = NOW + timedelta(days=1)


class GivenKeys:
    """A ``KeyStore`` that remembers who has which key."""

    def __init__(self) -> None:
        self.stored: dict[AccountName, ApiKeys] = {}

    def fingerprint(self, keys: ApiKeys) -> str:
        """What names them."""
        return keys.api_key[:4]

    async def put(self, account: AccountName, venue: VenueName, keys: ApiKeys) -> str:
        """Keep them."""
        assert venue == "okx"
        self.stored[account] = keys
        return self.fingerprint(keys)


def no_kraken(venue: str, demo: bool) -> None:
    del demo
    if venue == "kraken":
        raise VenueUnfit("no live orders at kraken")


@pytest.fixture
def log() -> MemoryEventLog:
    """An empty log."""
    return MemoryEventLog(Codec())


@pytest.fixture
def keys() -> GivenKeys:
    """No keys yet."""
    return GivenKeys()


@pytest.fixture
def accounts(log: MemoryEventLog, keys: GivenKeys) -> VenueAccounts:
    """The use cases over the log."""
    return VenueAccounts(log, keys, check_venue=no_kraken, now=lambda: NOW, actor="test")


def reader(log: MemoryEventLog) -> AccountReader:
    return AccountReader(log, AccountDirectory(log), DECIDER, now=lambda: NOW)


async def facts(log: MemoryEventLog) -> list[object]:
    return [event.fact for event in await log.read_stream(account_stream(MAIN))]


async def live_bot(log: MemoryEventLog, name: str, *, swap: bool = False, market: str = "okx") -> BotId:
    terms = GivenMarket()
    terms.venue = VenueName(market)
    terms.instruments = (SWAP, instrument(BTC))
    symbol = SWAP.symbol if swap else BTC
    made = NewBot(name=name, symbols=(symbol,), account=MAIN)
    return (await commands(log, terms).create(made, bot_id=BotId(name))).bot_id


async def test_an_account_is_opened_given_keys_and_armed_in_this_order(
    log: MemoryEventLog, accounts: VenueAccounts, keys: GivenKeys
) -> None:
    await accounts.open(OPEN)
    await accounts.open(OPEN)
    with pytest.raises(CommandRefused, match="has no keys"):
        await accounts.arm(MAIN, TOMORROW)
    assert await accounts.set_keys(MAIN, KEYS) == "the-"
    await accounts.arm(MAIN, TOMORROW, by="user-1")
    await accounts.disarm(MAIN, "for the night")
    assert keys.stored == {MAIN: KEYS}
    assert await facts(log) == [
        AccountOpened(account=MAIN, venue=VenueName("okx")),
        AccountKeysSet(fingerprint="the-"),
        AccountArmed(until=TOMORROW),
        AccountDisarmed(reason="for the night"),
    ]
    assert [event.metadata.actor for event in await log.read_stream(account_stream(MAIN))][2] == "user-1"


async def test_the_key_of_an_account_is_given_to_no_other_at_that_venue(
    log: MemoryEventLog, accounts: VenueAccounts, keys: GivenKeys
) -> None:
    second, elsewhere = AccountName("second"), AccountName("elsewhere")
    local = OpenAccount(elsewhere, VenueName("okx"), rest="http://127.0.0.1:8030", ws="ws://127.0.0.1:8031")
    for wanted in (OPEN, OpenAccount(second, VenueName("okx")), local):
        await accounts.open(wanted)
    await accounts.set_keys(MAIN, KEYS)
    before = await log.head()
    with pytest.raises(CommandRefused, match="account main has the key the-; give second one of its own"):
        await accounts.set_keys(second, KEYS)
    assert (await log.head(), second in keys.stored) == (before, False)
    await accounts.set_keys(MAIN, KEYS)
    await accounts.set_keys(elsewhere, KEYS)
    await accounts.set_keys(second, ApiKeys(api_key="own-key", secret="s"))  # noqa: S106 - planted


async def test_the_kill_switch_disarms_at_once_and_keeps_arming_away(
    log: MemoryEventLog, accounts: VenueAccounts
) -> None:
    await accounts.open(OPEN)
    await accounts.set_keys(MAIN, KEYS)
    await accounts.arm(MAIN, TOMORROW)
    await accounts.kill(MAIN, "close", "drill")
    assert (await facts(log))[-2:] == [
        AccountKillRequested(at=NOW, policy="close", reason="drill"),
        AccountDisarmed(reason="the kill switch was thrown"),
    ]
    with pytest.raises(CommandRefused, match="kill switch"):
        await accounts.arm(MAIN, TOMORROW)


@pytest.mark.parametrize("days", [-1, 0, 31])
async def test_an_account_is_armed_for_thirty_days_at_most_and_never_for_the_past(
    accounts: VenueAccounts, days: int
) -> None:
    await accounts.open(OPEN)
    await accounts.set_keys(MAIN, KEYS)
    with pytest.raises(CommandRefused, match="within the next 30 days"):
        await accounts.arm(MAIN, NOW + timedelta(days=days))


async def test_nothing_is_done_to_an_account_that_is_not_there(
    log: MemoryEventLog, accounts: VenueAccounts, keys: GivenKeys
) -> None:
    calls = [accounts.set_keys(MAIN, KEYS), accounts.arm(MAIN, TOMORROW), accounts.disarm(MAIN)]
    for call in [*calls, accounts.kill(MAIN, "freeze")]:
        with pytest.raises(UnknownAccount, match="main"):
            await call
    assert (await facts(log), keys.stored) == ([], {})


@pytest.mark.parametrize("name", ["", "Main", "a/b", "x" * 65, "-a"])
async def test_a_name_that_is_none_opens_nothing(accounts: VenueAccounts, name: str) -> None:
    with pytest.raises(InvalidAccount, match="lower-case"):
        await accounts.open(OpenAccount(AccountName(name), VenueName("okx")))


async def test_a_venue_that_orders_cannot_be_trusted_to_is_refused(
    log: MemoryEventLog, accounts: VenueAccounts
) -> None:
    with pytest.raises(VenueUnfit):
        await accounts.open(OpenAccount(MAIN, VenueName("kraken")))
    assert await facts(log) == []


@pytest.mark.parametrize(
    ("rest", "ws", "demo"),
    [
        ("", "", False),
        ("http://127.0.0.1:8030", "ws://127.0.0.1:8030", False),
        ("http://[::1]:8030", "ws://localhost:8030", True),
        ("https://eea.okx.com", "wss://wseeapap.okx.com:8443", True),
    ],
)
def test_keys_may_go_to_this_machine_and_to_the_venues_own_demo(rest: str, ws: str, demo: bool) -> None:
    check_addresses("okx", demo=demo, rest=rest, ws=ws)


@pytest.mark.parametrize(
    ("rest", "ws", "demo"),
    [
        ("http://127.0.0.1:8030", "", False),
        ("https://eea.okx.com", "wss://wseeapap.okx.com:8443", False),
        ("http://10.0.0.1:8030", "ws://10.0.0.1:8030", True),
        ("https://okx.com.evil.net", "wss://okx.com", True),
        ("https://notokx.com", "wss://okx.com", True),
        ("https://okx.com@evil.net", "wss://okx.com", True),
        ("http://eea.okx.com", "ws://eea.okx.com", True),
        ("http://127.0.0.1:8030", "wss://ws.okx.com", True),
        ("http://127.0.0.1:8030/other", "ws://127.0.0.1:8030", False),
        ("http://127.0.0.1:x", "ws://127.0.0.1:8030", False),
    ],
)
def test_keys_go_nowhere_else(rest: str, ws: str, demo: bool) -> None:
    with pytest.raises(InvalidAccount):
        check_addresses("okx", demo=demo, rest=rest, ws=ws)


def test_keys_never_show_themselves() -> None:
    shown = f"{KEYS!r} {KEYS} {[KEYS]}"
    assert not any(secret in shown for secret in ("the-key", "the-secret", "the-password"))


def test_a_demo_and_a_local_exchange_are_markets_of_their_own() -> None:
    assert market_of("okx") == "okx"
    assert market_of("okx", demo=True, rest="https://eea.okx.com") == "okx-demo"
    assert market_of("okx", demo=True, rest="http://127.0.0.1:8030") == "okx-local"


@pytest.mark.parametrize(
    ("happens", "obstacles"),
    [
        (
            [],
            ("it has no keys", "it is not armed", "no execution has taken it up yet: oxbot up must run on its market"),
        ),
        (
            [AccountKeysSet(fingerprint="f"), AccountArmed(until=NOW), AccountClaimed(epoch=1, holder="a")],
            ("its arming has run out", "it is being compared with the venue"),
        ),
        (
            [
                AccountKeysSet(fingerprint="f"),
                AccountArmed(until=TOMORROW),
                AccountClaimed(epoch=1, holder="a"),
                AccountUnreconciled(at=NOW, epoch=1, reason="50111: no such key"),
            ],
            ("50111: no such key",),
        ),
        (
            [
                AccountKeysSet(fingerprint="f"),
                AccountArmed(until=TOMORROW),
                AccountClaimed(epoch=1, holder="a"),
                AccountReconciled(at=NOW, epoch=1, position=4, orders=0),
            ],
            (),
        ),
    ],
)
async def test_an_account_says_in_words_what_keeps_entries_back(
    log: MemoryEventLog, happens: list[AccountFact], obstacles: tuple[str, ...]
) -> None:
    await open_account(log, MAIN, "okx", more=happens)
    (standing,) = await reader(log).all()
    assert standing.obstacles == obstacles


async def test_an_account_is_shown_with_strangers_doubts_and_what_its_kill_switch_did(log: MemoryEventLog) -> None:
    await open_account(log, MAIN, "okx")
    bot_id = await live_bot(log, "one")
    await write(log, entry_in_doubt(), bot_stream(bot_id))
    stranger = StrangerSeen(at=NOW, kind="order", reference="7", symbol=BTC, words="an open buy order")
    done = AccountKillDone(at=NOW, policy="close", cancelled=2, closed=1, left=("0.1 BTC",))
    await happened(log, MAIN, [stranger, AccountKillRequested(at=NOW, policy="close"), done])

    shown = await reader(log).show(MAIN)

    assert [one.words for one in shown.strangers] == ["an open buy order"]
    assert [(one.bot_id, one.symbol, one.status) for one in shown.in_doubt] == [(bot_id, BTC, "in_doubt")]
    assert shown.killed is not None
    assert (shown.killed.cancelled, shown.killed.closed, shown.killed.left) == (2, 1, ("0.1 BTC",))
    assert shown.bots == (bot_id,)
    with pytest.raises(UnknownAccount):
        await reader(log).show(AccountName("other"))


def entry_in_doubt() -> list[BotFact]:
    """An entry of which nobody knows whether the venue has it."""
    name, decided = OrderId("one-1"), decision(DecisionId("one-d1"), BTC, Decimal(100), moment(12))
    asked = OrderRequested(
        order_id=name,
        at=decided.at,
        symbol=BTC,
        side="buy",
        kind="market",
        reason="entry",
        notional=Decimal(500),
        decision_id=decided.decision_id,
        at_close=True,
    )
    sent = OrderSubmitted(order_id=name, at=moment(13), client_id="c", expires_at=moment(14), quantity=Decimal(5))
    return [decided, asked, sent, OrderInDoubt(order_id=name, at=moment(13), reason="no answer")]


async def test_the_directory_follows_what_is_appended_after_it_was_read(log: MemoryEventLog) -> None:
    directory = AccountDirectory(log)
    assert await directory.refresh() == {}
    await open_account(log, MAIN, "okx", demo=True)
    assert (await directory.refresh())[MAIN].market == "okx-demo"
    await happened(log, MAIN, [AccountKeysSet(fingerprint="f")])
    assert (await directory.refresh())[MAIN].state.fingerprint == "f"


async def test_the_bots_of_an_account_in_trouble_fail_and_no_others(log: MemoryEventLog) -> None:
    await open_account(log, MAIN, "okx")
    one, ended = await live_bot(log, "one"), await live_bot(log, "ended")
    await tell(log, StopBot(), bot_stream(ended))
    paper = (await commands(log).create(NewBot(name="paper", symbols=(BTC,)))).bot_id
    inner = MemoryFailingBots()
    await inner.failed({paper: "it crashed"})
    failing = AccountFailures(inner, AccountDirectory(log))
    assert set(await failing.all()) == {paper}

    await happened(log, MAIN, [AccountClaimed(epoch=1, holder="a"), AccountUnreconciled(at=NOW, epoch=1, reason="no")])
    found = await failing.all()
    assert {bot_id: bot.error for bot_id, bot in found.items()} == {
        one: "account main lets nothing enter: no",
        paper: "it crashed",
    }
    assert found[one].failing_since == NOW

    again = AccountUnreconciled(at=NOW + timedelta(hours=1), epoch=2, reason="no")
    await happened(log, MAIN, [AccountClaimed(epoch=2, holder="b"), again])
    assert (await failing.all())[one].failing_since == NOW, "it has failed since the first of them"

    await happened(log, MAIN, [AccountReconciled(at=NOW, epoch=1, position=9, orders=0)])
    assert set(await failing.all()) == {paper}


async def test_a_live_bot_needs_an_account_of_the_market_that_it_follows(log: MemoryEventLog) -> None:
    with pytest.raises(CommandRefused, match="there is no account main"):
        await live_bot(log, "one")
    await open_account(log, MAIN, "okx", demo=True)
    with pytest.raises(CommandRefused, match="trades okx-demo, and the fleet's market is okx"):
        await live_bot(log, "one")
    assert await live_bot(log, "one", market="okx-demo") == "one"


async def test_of_two_bots_of_one_account_on_one_perpetual_only_one_is_armed(log: MemoryEventLog) -> None:
    await open_account(log, MAIN, "okx")
    one, two = await live_bot(log, "one", swap=True), await live_bot(log, "two", swap=True)
    await commands(log).arm(one, TOMORROW)
    with pytest.raises(CommandRefused, match="bot one of account main is armed and trades ETH/USDT:USDT too"):
        await commands(log).arm(two, TOMORROW)
    await commands(log).disarm(one)
    await commands(log).arm(two, TOMORROW)


async def test_two_bots_of_one_account_may_both_be_armed_for_a_spot_pair(log: MemoryEventLog) -> None:
    await open_account(log, MAIN, "okx")
    for bot_id in (await live_bot(log, "one"), await live_bot(log, "two")):
        assert (await commands(log).arm(bot_id, TOMORROW)).bot_id == bot_id
