"""What people do on the page, as the tests say it."""

import re
from pathlib import Path
from typing import Literal

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from events.user import Role
from tests.page.installation import Installation

PASSWORD = "a very long password of hers"  # noqa: S105 - only of these tests
COUNTED = {"moderate", "serious", "critical"}
NARROW = 360
CHARTS_FIT = """async () => {
  const fits = (one) => one.getBoundingClientRect().right <= innerWidth;
  const ends = Date.now() + 10000;
  while (Date.now() < ends && ![...document.querySelectorAll(".main-svg")].every(fits)) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
}"""
BEYOND = """[...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > innerWidth)
  .map((one) => one.outerHTML.slice(0, 160))"""
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def sign_in(page: Page, installation: Installation, *, name: str = "admin", password: str = "") -> None:
    """By the form, as the administrator unless somebody else is named."""
    page.goto(installation.address + "/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password or installation.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Fleet", level=1)).to_be_visible()


def make_user(installation: Installation, name: str, role: Role) -> str:
    """Somebody who signs in with ``PASSWORD``, made over the API; the user's id."""
    with httpx.Client(base_url=installation.address + "/api/v1") as client:
        credentials = {"username": "admin", "password": installation.password, "refresh": "body"}
        token = client.post("/sessions", json=credentials).json()["access_token"]
        wanted = {"username": name, "password": PASSWORD, "role": role}
        made = client.post("/users", json=wanted, headers={"Authorization": f"Bearer {token}"})
    assert made.status_code == 201, made.text
    return str(made.json()["user_id"])


def create_bot(page: Page, name: str, *, strategy: str = "ema_cross", start: bool = False) -> str:
    """By the form; the bot's id."""
    page.get_by_role("link", name="New bot", exact=True).first.click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Strategy").select_option(strategy)
    page.get_by_role("button", name="Create and start" if start else "Create bot").click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    return re.search(r"#/bots/([a-z0-9-]+)$", page.url)[1]  # type: ignore[index]  # the heading is the bot's


def panel(page: Page, title: str) -> Locator:
    """A part of the view by its heading."""
    return page.get_by_role("region", name=title, exact=True).first


def assert_accessible(page: Page) -> None:
    """Nothing that axe holds to be more than minor."""
    found = Axe().run(page).response["violations"]
    counted = [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found
        if one["impact"] in COUNTED
        for node in one["nodes"]
    ]
    assert counted == [], counted


def assert_fits(page: Page) -> None:
    """The page scrolls down, never sideways."""
    beyond = page.evaluate(BEYOND)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("window.innerWidth"), beyond


def look(page: Page, folder: Path, name: str) -> None:
    """Pictures in light and dark, and of a telephone, each accessible and none too wide."""
    page.evaluate("scrollTo(0, 0)")
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert_accessible(page)
        assert_fits(page)
        page.screenshot(path=folder / f"{name}-{scheme}.png", full_page=True)
    page.set_viewport_size({"width": NARROW, "height": 780})
    page.evaluate("scrollTo(0, 0)")
    page.evaluate(CHARTS_FIT)
    assert_fits(page)
    page.screenshot(path=folder / f"{name}-{NARROW}.png", full_page=True)
    page.set_viewport_size({"width": 1360, "height": 900})
    page.emulate_media(color_scheme="light")
