"""Sends notices through Apprise: mail, Telegram, Discord, a webhook, and a hundred others, each by one URL."""

import asyncio
import logging
from collections.abc import Sequence

import apprise

from events.errors import OxbotError
from oxbot.app.notifications import NotSent
from oxbot.config import Secret
from oxbot.views.notices import Level, Notice

SEND_SECONDS = 30.0
KEY_LETTERS = 12

_TYPES = {
    "info": apprise.NotifyType.INFO,
    "warning": apprise.NotifyType.WARNING,
    "failure": apprise.NotifyType.FAILURE,
}
_ORDER: tuple[Level, ...] = ("info", "warning", "failure")


class InvalidTarget(OxbotError):
    """An address that no service of Apprise answers to; the text never holds the address, which is a secret."""


class AppriseNotifier:
    """Implements ``Notifier``. The addresses are secrets: they hold tokens and passwords."""

    def __init__(self, targets: Sequence[Secret], *, timeout_seconds: float = SEND_SECONDS) -> None:
        """Raises ``InvalidTarget``, naming the target by its number."""
        # Apprise logs the addresses of targets that fail.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        self._timeout = timeout_seconds
        self._targets = apprise.Apprise()
        for number, target in enumerate(targets, start=1):
            if not self._targets.add(target.reveal()):
                raise InvalidTarget(f"notify target {number} is no address that Apprise knows")

    async def send(self, notices: Sequence[Notice]) -> None:
        """See ``Notifier.send``; each line ends with the notice's key."""
        worst = max((notice.level for notice in notices), key=_ORDER.index)
        title = f"oxbot: {notices[0].line}" if len(notices) == 1 else f"oxbot: {len(notices)} notices"
        try:
            async with asyncio.timeout(self._timeout):
                told = await self._targets.async_notify(
                    title=title, body="\n".join(map(_line, notices)), notify_type=_TYPES[worst]
                )
        except TimeoutError:
            raise NotSent(f"no answer within {self._timeout:g} s") from None
        except Exception as error:  # noqa: BLE001 - a hundred services, each with its own libraries
            # Whatever a service's library raises may quote its address.
            raise NotSent(f"the service failed with {type(error).__name__}") from None
        if not told:
            raise NotSent("not every target took it")


def _line(notice: Notice) -> str:
    return f"{notice.at:%Y-%m-%d %H:%M:%S} UTC {notice.line} [{notice.key[-KEY_LETTERS:]}]"
