"""The alerts of the dashboard, in a browser: shown and told as they come and go, to those who may see them, as text."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from events.alerts import ALERTS_STREAM, AlertCleared, AlertRaised, WatchedRule
from events.identifiers import HOUSE, BotId, OwnerId, bot_stream
from tests.page.installation import Installation
from tests.page.steps import PASSWORD, create_bot, look, make_user, panel, sign_in

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
# The installation's own watch says that what it did not raise is over, but not within its first minute.
LISTENED = """(id) => {
  window.told ??= [];
  const region = document.getElementById(id);
  new MutationObserver(() => region.textContent && window.told.push(region.textContent))
    .observe(region, { childList: true, characterData: true, subtree: true });
}"""


def raised(rule: WatchedRule, subject: str, words: str, owner: str | None = HOUSE) -> AlertRaised:
    """An alert as the watch raises it; without an owner it is for administrators."""
    whose = None if owner is None else OwnerId(owner)
    return AlertRaised(at=datetime.now(UTC), rule=rule, subject=subject, words=words, owner=whose)


def cleared(rule: WatchedRule, subject: str, owner: str | None = HOUSE) -> AlertCleared:
    """The end of one."""
    whose = None if owner is None else OwnerId(owner)
    return AlertCleared(at=datetime.now(UTC), rule=rule, subject=subject, owner=whose)


def open_system(page: Page) -> Locator:
    """The panel of alerts."""
    page.get_by_role("link", name="System").click()
    alerts = panel(page, "Alerts")
    expect(alerts).to_be_visible()
    return alerts


def listen(page: Page, region: str = "polite") -> None:
    """Keep all that a live region says from now on, as a screen reader would."""
    page.evaluate(LISTENED, region)


def expect_told(page: Page, text: str) -> None:
    """It was said."""
    page.wait_for_function("(text) => window.told.includes(text)", arg=text)


def test_an_alert_is_shown_and_told_as_it_is_raised_and_marked_over_as_it_is_cleared(
    page: Page, installation: Installation, screenshots: Path
) -> None:
    sign_in(page, installation)
    alerts = open_system(page)
    expect(page.locator("#link")).to_have_text("Live")
    expect(page.locator("#polite")).to_have_attribute("aria-live", "polite")
    listen(page)
    # Nothing is clicked from here on: what is shown comes by the stream.
    installation.say(ALERTS_STREAM, raised("feed_late", "synthetic ABC/USDT", "no candle for 11 minutes"))
    row = alerts.get_by_role("row", name="no candle for 11 minutes")
    expect(row.get_by_role("rowheader").locator(".chip.caution")).to_have_text("feed late")
    expect(row.get_by_role("rowheader")).to_have_text("feed late no candle for 11 minutes")
    expect(row.get_by_role("cell").nth(0)).to_have_text("synthetic ABC/USDT")
    today = datetime.now(UTC).date().isoformat()
    expect(row.locator("time")).to_have_attribute("datetime", re.compile(rf"^{today}T"))
    expect(row.get_by_text("it goes on")).to_be_visible()
    expect_told(page, "Alert: feed late, no candle for 11 minutes.")
    look(page, screenshots, "alerts")
    installation.say(ALERTS_STREAM, cleared("feed_late", "synthetic ABC/USDT"))
    expect(row.get_by_text("it goes on")).to_have_count(0)
    expect(row.locator("time")).to_have_count(2)
    expect(row.locator(".chip.caution, .chip.bad")).to_have_count(0)
    expect_told(page, "Over: feed late, no candle for 11 minutes.")


def test_a_grave_alert_interrupts_and_what_needs_attention_stands_above_the_fleet_until_it_is_over(
    page: Page, installation: Installation, screenshots: Path
) -> None:
    sign_in(page, installation)
    expect(page.locator("#link")).to_have_text("Live")
    expect(page.locator("#assertive")).to_have_attribute("role", "alert")
    listen(page, "assertive")
    attention = page.get_by_role("region", name="What needs attention")
    notice = attention.locator(".notice.bad").filter(has_text="bots-to-be")
    installation.say(ALERTS_STREAM, raised("projection_stopped", "bots-to-be", "bots-to-be stands still", None))
    expect(notice.locator("strong")).to_have_text("projection stopped")
    expect(notice.locator("time")).to_have_count(1)
    expect_told(page, "Alert: projection stopped, bots-to-be stands still.")
    look(page, screenshots, "attention")
    installation.say(ALERTS_STREAM, cleared("projection_stopped", "bots-to-be", None))
    expect(notice).to_have_count(0)


def test_a_trader_is_shown_his_own_alerts_and_everybodys_and_an_administrator_all(
    page: Page, another_page: Callable[[], Page], installation: Installation
) -> None:
    tess = make_user(installation, "tess", "trader")
    sign_in(page, installation, name="tess", password=PASSWORD)
    administrators = another_page()
    sign_in(administrators, installation)
    hers, all_of_them = open_system(page), open_system(administrators)
    for view in (page, administrators):
        expect(view.locator("#link")).to_have_text("Live")
    listen(page)
    installation.say(
        ALERTS_STREAM,
        raised("bot_failing", "bot-of-somebody", "that of another", "somebody-else"),
        raised("projection_lag", "bots", "that of administrators", None),
        raised("bot_failing", "bot-of-tess", "that of tess", tess),
        raised("feed_late", "synthetic XYZ/USDT", "that of everybody"),
    )
    for alerts, shown in ((hers, ("tess", "everybody")), (all_of_them, ("another", "administrators", "tess"))):
        for whose in shown:
            expect(alerts.get_by_role("row", name=f"that of {whose}")).to_be_visible()
    for hidden in ("another", "administrators"):
        expect(page.get_by_text(f"that of {hidden}")).to_have_count(0)
    page.get_by_role("link", name="Fleet").first.click()
    attention = page.get_by_role("region", name="What needs attention")
    expect(attention.locator(".notice")).to_have_count(2)
    installation.say(ALERTS_STREAM, cleared("feed_late", "synthetic XYZ/USDT"))
    expect(attention.locator(".notice")).to_have_count(1)
    expect_told(page, "Over: feed late, that of everybody.")
    assert not any("another" in text or "administrators" in text for text in page.evaluate("window.told"))


def test_the_words_of_an_alert_are_text_and_never_run(page: Page, installation: Installation) -> None:
    installation.say(ALERTS_STREAM, raised("slow_cycle", HOSTILE, HOSTILE))
    sign_in(page, installation)
    attention = page.get_by_role("region", name="What needs attention")
    expect(attention.get_by_text(HOSTILE, exact=True)).to_be_visible()
    row = open_system(page).get_by_role("row", name="slow cycle")
    expect(row.get_by_role("rowheader")).to_contain_text(HOSTILE)
    expect(row.get_by_role("cell").first).to_have_text(HOSTILE)
    assert page.locator("main img, main script").count() == 0
    assert page.title() == "System \u00b7 oxbot"


def test_a_bots_page_tells_of_its_own_alerts_and_everybodys_and_leaves_others_to_where_they_are_shown(
    page: Page, installation: Installation
) -> None:
    sign_in(page, installation)
    bot_id = create_bot(page, "Watched")
    expect(panel(page, "Orders")).to_be_visible()
    expect(page.locator("#link")).to_have_text("Live")
    listen(page)
    listen(page, "assertive")
    # Nothing is clicked from here on: what is told comes by the stream.
    installation.say(ALERTS_STREAM, raised("slow_cycle", "bot-of-nobody-here", "that of another bot"))
    installation.say(ALERTS_STREAM, raised("slow_cycle", bot_stream(BotId(bot_id)), "that of the bot"))
    expect_told(page, "Alert: slow cycle, that of the bot.")
    installation.say(ALERTS_STREAM, raised("feed_late", "synthetic QRS/USDT", "that of all"))
    expect_told(page, "Alert: feed late, that of all.")
    installation.say(ALERTS_STREAM, cleared("slow_cycle", bot_stream(BotId(bot_id))))
    expect_told(page, "Over: slow cycle, that of the bot.")
    assert not any("another" in text for text in page.evaluate("window.told"))
    page.get_by_role("link", name="Fleet").first.click()
    expect_told(page, "Alert: slow cycle, that of another bot.")
