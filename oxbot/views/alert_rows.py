"""The rows of alerts that people read."""

from datetime import datetime
from typing import ClassVar

from events.identifiers import BotId
from oxbot.views.amounts import Amount
from oxbot.views.meanings import Level, Rule
from oxbot.views.rows import Row, ViewName, placed

EVERYBODY = ""
"""The audience of what anyone who is signed in may see: the house's bots, and what is nobody's."""

ADMINISTRATORS = "!admin"
"""The audience of what only administrators may see; no user has this id."""

ALL = "*"
"""Under whom every alert stands once more, for those who may see all of them."""


class AlertRow(Row, frozen=True, kw_only=True):
    """Something that somebody should look at, since ``since``, until ``until``; None while it goes on.

    ``position`` is where the log says so. ``subject`` is whom or what it is of, ``bot_id`` if that is a bot. ``value``
    is what was measured against ``threshold``, where it is a matter of measure. ``audience``: the user who may see it,
    beside administrators; empty for everybody.
    """

    view: ClassVar[ViewName] = "alerts"
    position: int
    rule: Rule
    level: Level
    subject: str
    bot_id: BotId | None
    words: str
    since: datetime
    until: datetime | None
    value: Amount | None
    threshold: Amount | None
    audience: str

    @property
    def owner(self) -> str:
        """Who may see it."""
        return self.audience

    @property
    def key(self) -> str:
        """Backwards, those that go on come first, and then the newest."""
        return alert_key(self.position, going_on=self.until is None)


def alert_key(position: int, *, going_on: bool) -> str:
    """Where an alert stands among those of an audience."""
    return f"{int(going_on)}-{placed(position)}"
