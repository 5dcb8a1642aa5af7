"""The dashboard as people use it, in a browser: what they do works, and the browser has nothing to complain of."""

from pathlib import Path

from msgspec.structs import replace
from playwright.sync_api import BrowserContext, Page, expect

from events.identifiers import BotId, bot_stream
from tests.core.scenario import created
from tests.page.installation import Installation
from tests.page.steps import PASSWORD, assert_accessible, create_bot, look, make_user, panel, sign_in
from tests.page.witness import Witness
from tests.views.advising import opinion, received, requested

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def test_a_bot_is_created_seen_to_trade_live_and_paused_and_its_maker_signs_out(
    page: Page, installation: Installation, screenshots: Path
) -> None:
    page.goto(installation.address + "/")
    look(page, screenshots, "door")
    sign_in(page, installation)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    bot_id = create_bot(page, "Momentum", start=True)
    trades = panel(page, "Closed trades")
    # Nothing is clicked from here on: what is shown comes by the stream.
    expect(trades.get_by_role("row").nth(2)).to_be_visible(timeout=60_000)
    for chart in ("Equity", "Market"):
        expect(panel(page, chart).locator(".main-svg").first).to_be_visible()
        expect(panel(page, chart).get_by_role("figure")).to_contain_text("USDT")
    panel(page, "Decisions").locator("summary").first.click()
    expect(panel(page, "Decisions").get_by_text("Digest of those").first).to_be_visible()
    look(page, screenshots, "bot")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    expect(page.locator("h1 + .lede .chip")).to_have_text("paused")
    page.get_by_role("link", name="Fleet").first.click()
    row = page.get_by_role("row", name="Momentum")
    expect(row.get_by_text("paused")).to_be_visible()
    look(page, screenshots, "fleet")
    expect(row.get_by_title(bot_id)).to_have_text(f" {bot_id[:8]}")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_who_is_signed_in_stays_so_over_a_reload_by_a_cookie_that_no_script_reads(
    page: Page, context: BrowserContext, installation: Installation
) -> None:
    sign_in(page, installation)
    page.reload()
    expect(page.get_by_role("heading", name="Fleet", level=1)).to_be_visible()
    cookies = {cookie["name"]: cookie for cookie in context.cookies()}
    assert [(cookie["httpOnly"], cookie["sameSite"]) for cookie in cookies.values()] == [(True, "Strict")]
    assert page.evaluate("document.cookie") == ""
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert kept == '[{"oxbot.signed-in":"1"},{}]'


def test_a_bots_name_and_a_models_reason_are_shown_as_text_and_never_run(
    page: Page, witness: Witness, installation: Installation
) -> None:
    bot_id = BotId("hostile")
    request = requested(bot_id=bot_id)
    # The API takes no such name; the log may hold one, of an older program or by another way.
    named = replace(created(), bot_id=bot_id, name=HOSTILE)
    installation.say(bot_stream(bot_id), named, request, received(request, opinion(reason=HOSTILE)))
    sign_in(page, installation)
    page.get_by_role("link", name=HOSTILE).click()
    expect(page.get_by_role("heading", name=HOSTILE, level=1)).to_be_visible()
    asked = panel(page, "Advice").locator("details").first
    asked.locator("summary").first.click()
    expect(asked.locator("blockquote")).to_have_text(HOSTILE)
    assert page.title() == f"{HOSTILE} \u00b7 oxbot"
    page.get_by_role("link", name="New bot", exact=True).first.click()
    page.get_by_label("Name").fill(HOSTILE[:64])
    witness.refusals.add(422)
    page.get_by_role("button", name="Create bot").click()
    expect(page.get_by_role("alert").filter(has_text="<img")).to_be_visible()
    assert page.locator("main img, main script").count() == 0


def test_what_is_wrong_with_a_new_bot_is_said_at_its_field_or_as_the_api_says_it(
    page: Page, installation: Installation, screenshots: Path
) -> None:
    sign_in(page, installation)
    page.get_by_role("link", name="New bot", exact=True).first.click()
    page.get_by_role("button", name="Create bot").click()
    name = page.get_by_label("Name")
    expect(name).to_be_focused()
    expect(name).to_have_accessible_description("Say a name. What people will call it.")
    name.fill("Slow")
    page.get_by_label("Fast").fill("many")
    page.get_by_role("button", name="Create bot").click()
    expect(page.get_by_label("Fast")).to_be_focused()
    look(page, screenshots, "new-bot")


def test_the_page_is_used_by_keyboard_alone(page: Page, installation: Installation) -> None:
    page.goto(installation.address + "/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.get_by_label("Name").focus()
    page.keyboard.type("admin")
    page.keyboard.press("Tab")
    page.keyboard.type(installation.password)
    page.keyboard.press("Enter")
    heading = page.get_by_role("heading", name="Fleet", level=1)
    expect(heading).to_be_focused()
    expect(page.get_by_role("link", name="New bot").first).to_be_visible()


def test_the_system_is_shown_to_whoever_may_see_it(page: Page, installation: Installation, screenshots: Path) -> None:
    sign_in(page, installation)
    page.get_by_role("link", name="System").click()
    expect(panel(page, "Projections").get_by_role("row").nth(1)).to_be_visible()
    look(page, screenshots, "system")
    assert_accessible(page)


def test_what_cannot_be_taken_back_is_asked_about_first(
    page: Page, witness: Witness, installation: Installation, screenshots: Path
) -> None:
    sign_in(page, installation)
    create_bot(page, "Short life", start=True)
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="Rename\u2026").click()
    dialog.get_by_label("Name").fill("No/such/name")
    witness.refusals.add(422)
    dialog.get_by_role("button", name="Rename").click()
    expect(dialog.get_by_role("alert")).to_contain_text("name")
    dialog.get_by_role("button", name="Cancel").click()
    stop = page.get_by_role("button", name="Stop\u2026")
    stop.click()
    expect(dialog).to_have_accessible_name("Stop Short life?")
    expect(dialog.locator(":focus")).to_have_count(1)
    look(page, screenshots, "stop")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(stop).to_be_focused()
    stop.click()
    dialog.get_by_label("Why (for the record)").fill("enough")
    dialog.get_by_role("button", name="Stop").click()
    expect(page.locator("h1 + .lede .chip")).to_have_text("stopped")
    expect(stop).to_have_count(0)


def test_the_colours_that_somebody_chose_are_kept(page: Page, installation: Installation) -> None:
    page.goto(installation.address + "/")
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert not dark
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Colours: as the system").click()
    page.get_by_role("button", name="Colours: light").click()
    page.reload()
    expect(page.get_by_role("button", name="Colours: dark")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != background


def test_a_stream_that_is_lost_is_said_to_be_and_comes_back_by_itself(
    page: Page, witness: Witness, context: BrowserContext, installation: Installation
) -> None:
    sign_in(page, installation)
    link = page.locator("#link")
    expect(link).to_have_text("Live")
    witness.refusals.add(0)
    context.set_offline(True)
    page.get_by_role("link", name="System").click()
    expect(link).not_to_have_text("Live")
    context.set_offline(False)
    expect(link).to_have_text("Live")
    page.get_by_role("link", name="Fleet").first.click()
    expect(page.get_by_role("heading", name="Fleet", level=1)).to_be_visible()


def test_who_may_only_look_is_offered_nothing_to_command(page: Page, installation: Installation) -> None:
    make_user(installation, "vera", "viewer")
    sign_in(page, installation, name="vera", password=PASSWORD)
    expect(page.get_by_role("region", name="Bots", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="New bot")).to_have_count(0)
    page.get_by_role("link", name="System").click()
    expect(panel(page, "Venues")).to_be_visible()
    for administrators in ("Projections", "Models", "Accounts at venues"):
        expect(page.get_by_role("region", name=administrators)).to_have_count(0)
