"""Finds the bot that somebody means by an id or a name."""

from collections.abc import Sequence

import msgspec

from events.errors import OxbotError
from events.identifiers import BotId
from oxbot.app.views import StoredRow
from oxbot.views.rows import BotLine


class AmbiguousBot(OxbotError):
    """Several bots have this name; the text lists their ids."""


def bot_meant(text: str, rows: Sequence[StoredRow]) -> BotId:
    """The id itself, or that of the only bot of this name; what is neither may be a bot that no view knows yet.

    Raises ``AmbiguousBot``.
    """
    bots = [msgspec.json.decode(row.body, type=BotLine) for row in rows]
    if any(bot.bot_id == text for bot in bots):
        return BotId(text)
    named = [bot for bot in bots if bot.name == text]
    if len(named) > 1:
        choice = ", ".join(f"{bot.bot_id} ({bot.fleet}, {bot.status})" for bot in named)
        raise AmbiguousBot(f"{len(named)} bots have the name {text}; say which by its id: {choice}")
    return named[0].bot_id if named else BotId(text)
