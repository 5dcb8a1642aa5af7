"""The page of a bot that is not there: asked for once, said so, and a way back."""

from msgspec.structs import replace
from playwright.sync_api import Page, Request, expect

from events.identifiers import BotId, bot_stream
from tests.core.scenario import created
from tests.page.installation import Installation
from tests.page.steps import assert_accessible, sign_in
from tests.page.witness import Witness

MINUTES_MS = 5 * 60_000
"""Many times as long as the page waits before it looks again."""


def test_a_bot_that_is_not_there_is_asked_for_once_and_leads_back_to_the_fleet(
    page: Page, witness: Witness, installation: Installation
) -> None:
    witness.refusals.add(404)
    asked: list[str] = []

    def noted(request: Request) -> None:
        if "/bots/nonesuch" in request.url:
            asked.append(request.url)

    page.on("request", noted)
    page.clock.install()
    sign_in(page, installation)
    page.goto(installation.address + "/#/bots/nonesuch")
    expect(page.get_by_role("heading", name="There is no such bot", level=1)).to_be_focused()
    expect(page.locator("#link")).to_have_text("Live")
    for _ in range(3):
        page.clock.fast_forward(MINUTES_MS)
        with page.expect_response(lambda answer: answer.url.endswith("/healthz")):
            page.evaluate("fetch('/healthz').then(() => undefined)")
    assert asked == [f"{installation.address}/api/v1/bots/nonesuch"]
    assert_accessible(page)
    page.get_by_role("link", name="Back to the fleet").click()
    expect(page.get_by_role("heading", name="Fleet", level=1)).to_be_visible()


def test_a_bot_that_comes_to_be_while_its_page_is_open_is_shown(
    page: Page, witness: Witness, installation: Installation
) -> None:
    witness.refusals.add(404)
    sign_in(page, installation)
    page.goto(installation.address + "/#/bots/late")
    expect(page.get_by_role("heading", name="There is no such bot", level=1)).to_be_visible()
    expect(page.locator("#link")).to_have_text("Live")
    bot_id = BotId("late")
    installation.say(bot_stream(bot_id), replace(created(), bot_id=bot_id, name="Late"))
    expect(page.get_by_role("heading", name="Late", level=1)).to_be_visible()
