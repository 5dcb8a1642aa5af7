"""What a person gives as JSON: numbers to the last digit, and parameters as the text that strategies take."""

from decimal import Decimal

import pytest

from oxbot.app.given import exact_number, setting_text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("as it is ", "as it is "),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-7, "-7"),
        (10**39, "1" + "0" * 39),
        (Decimal("1.50"), "1.5"),
        (Decimal("-0.0"), "0"),
        (Decimal("2E+3"), "2000"),
        (Decimal("1E-18"), "0.000000000000000001"),
    ],
)
def test_a_parameter_is_its_text(given: object, text: str) -> None:
    assert setting_text(given) == text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (10**40, "at most 40 digits"),
        (Decimal("1E+99999999"), "at most 40 digits"),
        (Decimal("NaN"), "at most 40 digits"),
        (0.5, "not a float"),
        ([1], "not an array"),
        ({}, "not an object"),
        (None, "not null"),
        (b"x", "not anything else"),
    ],
)
def test_what_is_no_parameter_is_refused(given: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        setting_text(given)


def test_a_number_keeps_every_digit_that_is_written() -> None:
    assert str(exact_number("0.10000000000000000000000000010")) == "0.10000000000000000000000000010"


def test_a_number_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="out of range: 1e9"):
        exact_number("1e" + "9" * 5000)
