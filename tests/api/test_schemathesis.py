"""The served description, taken at its word: whatever it lets a caller send is answered as it says, by every check."""

import asyncio
import os
from datetime import UTC, datetime

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import negative_data_rejection

from oxbot.api.tokens import SignedIn
from oxbot.core.account import UserId
from tests.api.populated import populated
from tests.api.stage import BOT

FEW = 3
EXAMPLES = int(os.environ.get("OXBOT_TEST_API_EXAMPLES", FEW))
"""How many requests are made up for each operation, beside those at the edges of what is described.

The few are always the same ones."""

ACCEPTED = ["2xx", "304", "401", "403", "404", "409", "412", "414", "422", "429"]
"""What a request that fits its schema may be answered with: the description says what things look like, and a bot, a
symbol or a parameter that looks right may be none that there is, which is 404, 409 or 422. 429 is of passwords."""

REFUSED = ["400", "401", "403", "404", "405", "408", "409", "412", "413", "414", "415", "422", "429"]
"""What one that does not fit may be answered with."""

CONFIG = {
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ACCEPTED},
        "negative_data_rejection": {"expected-statuses": REFUSED},
    },
    "generation": {"max-examples": EXAMPLES, "database": "none", "deterministic": EXAMPLES == FEW},
    "suppress-health-check": ["all"],
}


def token() -> dict[str, str]:
    """The headers of an administrator who has just signed in."""
    signed_in = SignedIn(UserId("a-admin"), "admin")
    return {"Authorization": f"Bearer {STAGE.tokens.issue(signed_in, at=datetime.now(UTC))}"}


STAGE = asyncio.run(populated())
# Loaded as the tests are collected, since each operation is a test.
schema = schemathesis.openapi.from_asgi(
    "/openapi.json", STAGE.app, headers=token(), config=SchemathesisConfig.from_dict(CONFIG)
)


@schema.parametrize()
def test_every_operation_is_as_it_is_described(
    case: schemathesis.Case,  # type: ignore[type-arg]  # the library itself leaves it out
) -> None:
    positive = case.meta is None or case.meta.generation.mode.is_positive
    # What is only good if it comes from the server, or from its time, has tests of its own.
    left_out = [
        name
        for name in ("cursor", "min_position", "as_of", "from", "to", "types")
        if name in case.query and (positive or _is_good(str(case.query[name])))
    ]
    for name in left_out:
        del case.query[name]
    if positive and "bot_id" in case.path_parameters:
        case.path_parameters["bot_id"] = BOT
    # Nothing may be wrong any more with what was.
    without = [negative_data_rejection] if left_out and not positive else []
    case.call_and_validate(headers=token(), excluded_checks=without)  # type: ignore[arg-type]  # a check of theirs


def _is_good(text: str) -> bool:
    """Whether it is a position or a time."""
    try:
        return text.isdecimal() or datetime.fromisoformat(text) is not None
    except ValueError:
        return False
