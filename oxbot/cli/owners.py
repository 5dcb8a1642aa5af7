"""Finds the user that somebody at a terminal means by a name or an id, as the owner of what there is to own."""

from events.identifiers import HOUSE, OwnerId
from oxbot.adapters.postgres_accounts import PostgresCredentials
from oxbot.app.accounts import UnknownUser
from oxbot.cli.installation import Installation
from oxbot.core.account import InvalidUsername, UserId, canonical_username

HOUSE_WORD = "the house"


async def owner_meant(installation: Installation, text: str | None) -> OwnerId:
    """The user of that name, or else of that id; the house for none. Raises ``UnknownUser``."""
    if not text:
        return HOUSE
    credentials = PostgresCredentials(installation.stores.pool)
    try:
        found = await credentials.named(canonical_username(text))
    except InvalidUsername:
        found = None
    found = found or await credentials.of(UserId(text))
    if found is None:
        raise UnknownUser(f"there is no account {text!r}")
    return OwnerId(found.user_id)


def owner_words(owner: OwnerId) -> str:
    """An owner for people; the id, since a name is personal."""
    return owner or HOUSE_WORD
