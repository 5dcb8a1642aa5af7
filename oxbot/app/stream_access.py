"""Who may see which event of the live stream."""

from events.identifiers import FLEET_STREAM_PREFIX, VENUE_STREAM_PREFIX
from oxbot.app.access import Person, may_read
from oxbot.app.listener import LiveEvent

OPEN_STREAMS = (FLEET_STREAM_PREFIX, VENUE_STREAM_PREFIX)
"""What anyone who is signed in may see beside bots; a stream of any other kind is for administrators."""


def may_see(user: Person, event: LiveEvent) -> bool:
    """Whether the event is shown to somebody: of bots what he may read, and nothing of other people."""
    if user.role == "admin":
        return True
    if event.owner is not None:
        return may_read(user, event.owner)
    return event.bot_id is None and event.event.stream.startswith(OPEN_STREAMS)
