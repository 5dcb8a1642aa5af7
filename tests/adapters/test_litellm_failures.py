"""Whatever a provider says of waiting, what is told is a number of seconds that can be waited, or nothing."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxbot.adapters.litellm_failures import RETRY_AFTER_MAX, failure, retry_after
from oxbot.adapters.redaction import without

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-4"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e30"}, RETRY_AFTER_MAX),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Thu, 01 Jan 2026 00:01:00 GMT"}, 60.0),
        ({"retry-after": "Wed, 31 Dec 2025 00:00:00 GMT"}, 0.0),
    ],
)
def test_the_wait_is_read_in_either_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@given(st.text(max_size=60), st.text(max_size=20))
def test_no_header_breaks_it(after: str, milliseconds: str) -> None:
    seconds = retry_after({"retry-after": after, "retry-after-ms": milliseconds}, NOW)
    assert seconds is None or 0 <= seconds <= RETRY_AFTER_MAX


@given(st.text(max_size=400), st.booleans())
def test_what_is_told_of_an_error_is_one_printable_line_without_the_key(said: str, sent: bool) -> None:
    key = "sk-very-secret-1234567890"
    told = failure(ValueError(f"{said} {key} {said}"), secrets=[key], now=NOW, sent=sent)
    assert key not in told.detail
    assert told.detail.isprintable()
    assert told.kind == "provider_error"


@given(st.text(max_size=60), st.integers(0, 17), st.sampled_from(["", " ", "-", "\n", "\u200b"]), st.booleans())
def test_eight_characters_of_a_key_are_never_told_however_they_are_written(
    said: str, start: int, between: str, upper: bool
) -> None:
    key = "sk-9f3Kx0PqLm7ZtR2vBn8Ws"
    part = between.join(key[start:]) if len(key) - start > 8 else key
    told = failure(ValueError(f"{said}{part.upper() if upper else part}"), secrets=[key], now=NOW, sent=True).detail
    squeezed = "".join(each for each in told.lower() if each.isascii() and each.isalnum())
    letters = key.lower().replace("-", "")
    parts = [letters[place : place + 8] for place in range(len(letters) - 7)]
    assert not any(each in squeezed for each in parts)


def test_what_only_looks_like_a_key_is_left_as_it_is() -> None:
    key = "sk-9f3Kx0PqLm7ZtR2vBn8Ws"
    text = '{"schema": 1, "decisions": [{"symbol": "BTC/USDT", "said": "sk-9f3Kx and more"}]}'
    assert without(text, [key]) == text
    assert without(f"a {key} b {key[6:]} c", [key]) == "a *** b *** c"
