"""Where a new bot trades, in a browser: on paper, unless its maker gives it an account that he may name."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from playwright.sync_api import Page, Request, expect

from events.account import AccountGranted, AccountOpened
from events.bot import BotCreated
from events.identifiers import AccountName, BotId, OwnerId, VenueName, account_stream, bot_stream
from oxbot.app.new_bot import NewBot
from tests.page.installation import Installation
from tests.page.steps import PASSWORD, create_bot, look, make_user, sign_in


def open_account(installation: Installation, name: str, *, venue: str = "", owner: str = "") -> None:
    """An account at the installation's own market unless a venue is said, granted to that user if one is."""
    account = AccountName(name)
    opened = AccountOpened(account=account, venue=VenueName(venue or installation.market))
    granted = [AccountGranted(owner=OwnerId(owner))] if owner else []
    installation.say(account_stream(account), opened, *granted)


def watch(page: Page) -> list[Request]:
    """All that the tab asks for from now on."""
    requests: list[Request] = []

    def asked(request: Request) -> None:
        requests.append(request)

    page.on("request", asked)
    return requests


def posted(requests: Sequence[Request]) -> NewBot:
    """The only bot that was asked for, read as the API reads it."""
    (body,) = [one.post_data_buffer for one in requests if one.method == "POST" and one.url.endswith("/api/v1/bots")]
    return msgspec.json.decode(body or b"", type=NewBot)


def created(installation: Installation, bot_id: str) -> BotCreated:
    """What the log says of the bot's creation."""
    fact = installation.told(bot_stream(BotId(bot_id)))[0]
    assert isinstance(fact, BotCreated)
    return fact


def test_who_was_granted_no_account_is_offered_none_and_trades_on_paper(page: Page, installation: Installation) -> None:
    make_user(installation, "pia", "trader")
    open_account(installation, "of-the-house")
    requests = watch(page)
    sign_in(page, installation, name="pia", password=PASSWORD)
    page.get_by_role("link", name="New bot", exact=True).first.click()
    expect(page.get_by_label("Capital")).to_be_visible()
    expect(page.get_by_label("Account")).to_have_count(0)
    bot_id = create_bot(page, "Paper by default")
    assert posted(requests).account is None
    assert created(installation, bot_id).account is None


def test_a_trader_gives_his_bot_an_account_that_was_granted_to_him_and_sees_no_other(
    page: Page, installation: Installation, screenshots: Path
) -> None:
    nell = make_user(installation, "nell", "trader")
    open_account(installation, "nells", owner=nell)
    open_account(installation, "of-another", owner="somebody-else")
    open_account(installation, "elsewhere", venue="okx", owner=nell)
    requests = watch(page)
    sign_in(page, installation, name="nell", password=PASSWORD)
    page.get_by_role("link", name="New bot", exact=True).first.click()
    account = page.get_by_label("Account")
    market = installation.market
    expect(account.get_by_role("option")).to_have_text(["Paper: no real money", f"nells ({market})"])
    expect(account).to_have_value("")
    account.select_option("nells")
    expect(page.get_by_text("once an administrator has armed it")).to_contain_text("it has no keys")
    look(page, screenshots, "new-live-bot")
    page.get_by_label("Name").fill("Live one")
    page.get_by_role("button", name="Create bot").click()
    expect(page.get_by_role("heading", name="Live one", level=1)).to_be_visible()
    wanted = posted(requests)
    assert (wanted.name, wanted.account) == ("Live one", "nells")
    assert created(installation, page.url.rpartition("/")[2]).account == "nells"
    expect(page.locator("h1 + .lede")).to_contain_text("live on nells")


def test_an_administrator_may_name_every_account_of_the_market_and_paper_is_chosen_first(
    page: Page, installation: Installation
) -> None:
    open_account(installation, "for-anyone", owner="somebody")
    open_account(installation, "at-okx", venue="okx")
    requests = watch(page)
    sign_in(page, installation)
    page.get_by_role("link", name="New bot", exact=True).first.click()
    account = page.get_by_label("Account")
    expect(account).to_have_value("")
    expect(account.get_by_role("option").filter(has_text="for-anyone")).to_have_count(1)
    expect(account.get_by_role("option").filter(has_text="at-okx")).to_have_count(0)
    page.get_by_label("Name").fill("Still on paper")
    page.get_by_role("button", name="Create bot").click()
    expect(page.get_by_role("heading", name="Still on paper", level=1)).to_be_visible()
    assert posted(requests).account is None
