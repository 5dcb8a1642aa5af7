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


def _forms(secret: str) -> Iterable[str]:
    if len(secret) < SHORTEST:
        return
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield base64.b64encode(secret.encode()).decode()
    yield secret.encode().hex()
