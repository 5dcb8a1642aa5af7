"""Whatever a provider says of waiting, what is told is a number of seconds that can be waited, or nothing."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxbot.adapters.litellm_failures import RETRY_AFTER_MAX, failure, retry_after

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
