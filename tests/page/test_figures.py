"""How the dashboard writes figures: rounded once, from all digits, and never so that a loss looks like none."""

import re

import httpx
import pytest
from playwright.sync_api import Page

from tests.page.installation import Installation

CALL = """async ([address, name, values]) => {
  const found = (await import(address))[name](...values);
  return [found].flat(Infinity).map((one) => one?.textContent ?? one).join("");
}"""
MINUS = "\u2212"
THIN = "\u2009"


@pytest.fixture
def figures(page: Page, installation: Installation) -> str:
    """The address of the page's module of figures, and the page open."""
    page.goto(installation.address + "/")
    found = re.search(r'/page/[^"]+/figures\.js', httpx.get(installation.address + "/").text)
    assert found is not None
    return found[0]


def said(page: Page, figures: str, name: str, *values: object) -> str:
    """What the function answers, as text."""
    return str(page.evaluate(CALL, [figures, name, list(values)]))


def test_a_share_is_rounded_half_away_from_zero_and_never_to_nothing(page: Page, figures: str) -> None:
    for part, whole, shown in (
        ("-96.96", "10000", f"{MINUS}0.97"),
        ("-96.9621894129", "10000", f"{MINUS}0.97"),
        ("73", "240", "30.42"),
        ("-110.7427270144", "10000", f"{MINUS}1.11"),
        ("-0.5", "10000", f"{MINUS}0.01"),
        ("0.5", "10000", "0.01"),
        ("1.5", "10000", "0.02"),
        ("-1.5", "10000", f"{MINUS}0.02"),
        ("1.4999999999999999999999999999", "10000", "0.01"),
        ("-0.4999999999999999999999999999", "10000", f">{THIN}{MINUS}0.01"),
        ("0.000000000000000001", "10000", f"<{THIN}0.01"),
        ("-99.995", "100", f"{MINUS}100.00"),
        ("-99.995", "-100", "100.00"),
        ("123456789012345678901234567890", "1000000000000000000000000", "12,345,678.90"),
        ("0", "10000", "0"),
        ("-0.00", "10000", "0"),
    ):
        assert said(page, figures, "percentOf", part, whole) == f"{shown}{THIN}%", (part, whole)
    assert said(page, figures, "percentOf", "0.5", "1", {"sign": True}) == f"+50.00{THIN}%"
    assert said(page, figures, "percentOf", "0.00001", "1", {"sign": True}) == f"<{THIN}+0.01{THIN}%"
    assert page.evaluate("async (at) => (await import(at)).percentOf('1', '0.00')", figures) is None
    assert page.evaluate("async (at) => (await import(at)).percentOf(null, '1')", figures) is None


def test_a_number_is_rounded_to_its_places_the_same_way(page: Page, figures: str) -> None:
    for text, places, shown in (
        ("0.00005", 4, "0.0001"),
        ("0.00004", 4, f"<{THIN}0.0001"),
        ("-0.00004", 4, f">{THIN}{MINUS}0.0001"),
        ("-9999.995", 2, f"{MINUS}10,000"),
        ("1234.5649999999999999999999", 2, "1,234.56"),
        ("0", 4, "0"),
        ("no", 4, "no"),
    ):
        assert said(page, figures, "rounded", text, places) == shown, text


def test_money_and_fractions_that_are_not_rounded_have_all_their_digits(page: Page, figures: str) -> None:
    for text, shown in (
        ("10000.21541725", "10,000.21541725"),
        ("-0.000000000000000001", f"{MINUS}0.000000000000000001"),
        ("-123456789012345678.999999999999999999", f"{MINUS}123,456,789,012,345,678.999999999999999999"),
        ("12", "12"),
        ("1.5", "1.5"),
    ):
        assert said(page, figures, "figure", text) == shown
        assert said(page, figures, "breakable", shown) == shown
    assert said(page, figures, "figure", "0.005", {"sign": True}) == "+0.005"
    assert said(page, figures, "percent", "0.3333333333333333") == f"33.33333333333333{THIN}%"
    assert said(page, figures, "breakable", "played, its own time 1.5") == "played, its own time 1.5"


def test_an_age_is_never_negative(page: Page, figures: str) -> None:
    assert [said(page, figures, "ago", seconds) for seconds in (-91_324_800, -0.4, 0, 89, 5399, 90_000_000)] == [
        "0 s", "0 s", "0 s", "89 s", "90 min", "1042 d",
    ]  # fmt: skip
