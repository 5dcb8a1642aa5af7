"""Takes secrets out of a text before anybody sees it, whichever way it was written."""

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

HIDDEN = "***"
SHORTEST = 4
"""A secret of fewer characters would blank out the text itself; a venue's keys are far longer."""

TEXT_MAX = 500

TELLING = 8
"""So many of a key's letters and digits in a row are no chance, whatever stands between them."""

_NAMED = re.compile(
    r"""(?ix)
    ( ["']? \b (?: OK-ACCESS-(?:KEY|SIGN|PASSPHRASE) | X-MBX-APIKEY | X-BAPI-(?:API-KEY|SIGN) | API-(?:Key|Sign)
      | apiKey | api_key | passphrase | secret | signature | sign | password ) \b ["']? \s* [:=] \s* )
    ( "[^"]*" | '[^']*' | [^\s&,;}\]]+ )
    """
)
"""A header, field or parameter that holds a credential or a signature made with one, at any venue of our table."""


def redacted(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, in any of the forms in which a request carries them, cut to a readable length."""
    hidden = _NAMED.sub(rf"\1{HIDDEN}", text)
    for form in sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True):
        hidden = hidden.replace(form, HIDDEN)
    return hidden if len(hidden) <= TEXT_MAX else f"{hidden[:TEXT_MAX]} ..."


def without(text: str, secrets: Iterable[str]) -> str:
    """The text, however long, without the secrets and without any part of one that is long enough to tell.

    A part counts in either case of its letters and with whatever else than letters and digits between them.
    """
    for secret in secrets:
        for form in sorted(_forms(secret), key=len, reverse=True):
            text = text.replace(form, HIDDEN)
        text = _without_parts(text, _squeezed(secret)[0])
    return text


def _without_parts(text: str, secret: str) -> str:
    parts = {secret[start : start + TELLING] for start in range(len(secret) - TELLING + 1)}
    squeezed, places = _squeezed(text)
    if not any(part in squeezed for part in parts):
        return text
    kept, end = "", 0
    for start in range(len(squeezed) - TELLING + 1):
        if squeezed[start : start + TELLING] in parts:
            if places[start] >= end:
                kept += text[end : places[start]] + HIDDEN
            end = places[start + TELLING - 1] + 1
    return kept + text[end:]


def _squeezed(text: str) -> tuple[str, list[int]]:
    """Its letters and digits in one case, and where each of them is in the text; those of ASCII, as keys have."""
    places = [place for place, each in enumerate(text) if each.isascii() and each.isalnum()]
    return "".join(text[place] for place in places).lower(), places


def _forms(secret: str) -> Iterable[str]:
    if len(secret) < SHORTEST:
        return
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield base64.b64encode(secret.encode()).decode()
    yield secret.encode().hex()
