"""Tells what a venue said from what ccxt made of it: a definite no, or nothing that can be relied on."""

from collections.abc import Mapping
from typing import NamedTuple

from oxbot.adapters.venue_profiles import VenueProfile
from oxbot.app.venue import Refused, Unknown

REPLY_ATTRIBUTE = "venue_reply"
"""Where the reply that was parsed is kept on the exception that ccxt made of it."""


class Verdict(NamedTuple):
    """The venue's own code and words; the code is empty where no reply with a code was parsed."""

    code: str
    words: str


def verdict_of(reply: object) -> Verdict | None:
    """What a parsed OKX reply says if it says no, else None: of its first row that was refused, or of its envelope.

    A code may have a part after an underscore, which tells apart the causes of one refusal.
    """
    if not isinstance(reply, Mapping):
        return Verdict("", "the reply is no JSON object")
    envelope = str(reply.get("code", ""))
    rows = reply.get("data")
    for row in rows if isinstance(rows, list) else []:
        code = str(row.get("sCode", "0")) if isinstance(row, Mapping) else ""
        if code != "0":
            return Verdict(code.partition("_")[0], str(row.get("sMsg", "")) if isinstance(row, Mapping) else "")
    if envelope == "0":
        return None
    return Verdict(envelope.partition("_")[0], str(reply.get("msg", "")))


def verdict_of_error(error: BaseException) -> Verdict:
    """What the reply said that made ccxt raise this; without a code if no reply with one was parsed."""
    reply = getattr(error, REPLY_ATTRIBUTE, None)
    if reply is not None:
        verdict = verdict_of(reply)
        if verdict is not None:
            return verdict
    return Verdict("", f"{type(error).__name__}: {error}")


def outcome(verdict: Verdict, profile: VenueProfile) -> Refused | Unknown:
    """Whether that verdict on an order, a cancel or an amendment is a definite no.

    Only a code of the venue's table is. A duplicate client id says that the first order exists, so it is no refusal.
    """
    if verdict.code in profile.refusals and verdict.code not in profile.duplicates:
        return Refused(verdict.code, verdict.words, passing=verdict.code in profile.passing)
    return Unknown(f"{verdict.code}: {verdict.words}" if verdict.code else verdict.words)
