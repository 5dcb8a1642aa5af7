"""Counts that stay small whatever is counted: how long things took, and which names came up how often."""

from collections.abc import Mapping

NAMES_MAX = 16
NAME_LENGTH_MAX = 100
OTHERS = "others"
"""What is said of names beyond ``NAMES_MAX``; who answers chooses its own name, so there could be any number."""

LATE = 95


def took(times: Mapping[int, int], milliseconds: int) -> dict[int, int]:
    """The counts by duration with one more, rounded up to two digits."""
    rounded = two_digits(milliseconds)
    return {**times, rounded: times.get(rounded, 0) + 1}


def late(times: Mapping[int, int]) -> int | None:
    """The least of these durations within which 95 of 100 ended; None without any."""
    rest = sum(times.values()) * LATE
    for milliseconds in sorted(times):
        rest -= times[milliseconds] * 100
        if rest <= 0:
            return milliseconds
    return None


def named(names: Mapping[str, int], name: str) -> dict[str, int]:
    """The counts by name with one more; no name is none."""
    if not name:
        return dict(names)
    short = name[:NAME_LENGTH_MAX]
    known = short if short in names or len(names) < NAMES_MAX else OTHERS
    return {**names, known: names.get(known, 0) + 1}


def two_digits(number: int) -> int:
    """The least number with two digits that count, the rest zeros, that is not below this one: 1,234 is 1,300."""
    number = max(number, 0)
    unit = int("1" + "0" * max(0, len(str(number)) - 2))
    return -(-number // unit) * unit
