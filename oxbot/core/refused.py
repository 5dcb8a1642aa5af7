"""The refusal of a command that a bot, as it is, cannot follow."""

from events.errors import OxbotError


class CommandRefused(OxbotError):
    """A command that the bot, as it is, cannot follow; nothing was recorded. ``actual`` is its version, where known."""

    actual: int | None = None
