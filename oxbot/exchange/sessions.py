"""WebSocket sessions as the rest of the exchange sees them: who listens to what, and what each is sent."""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from oxbot.exchange.auth import Caller
from oxbot.exchange.faults import PushFaults
from oxbot.exchange.wire import Row

OUTBOX_MAX = 20_000
Topic = tuple[str, str]
"""A channel, and the instrument or (of a private channel) the account."""

_ENCODER = msgspec.json.Encoder()
_NUMBERS = itertools.count(1)


class Subscription(NamedTuple):
    """What a session asked for, as it wrote it."""

    topic: Topic
    arg: Mapping[str, object]

    def wants(self, inst_type: str, inst_id: str) -> bool:
        """Whether a private row is of the kind that was asked for."""
        return self.arg.get("instType", "ANY") in ("", "ANY", inst_type) and self.arg.get("instId", "") in ("", inst_id)


class Close(NamedTuple):
    """Put into the outbox: end the connection; without a code it is just dropped."""

    code: int | None
    reason: str = ""


class Session:
    """One connection. What is sent goes through the outbox, in order, but for what ``push_faults`` does to pushes."""

    def __init__(self, path: str, *, address: str, demo: bool, push_faults: PushFaults) -> None:
        self.path = path
        self.address = address
        self.demo = demo
        self.connection_id = f"{next(_NUMBERS):08x}"
        self.caller: Caller | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.outbox: asyncio.Queue[str | Close] = asyncio.Queue()
        self.muted_until = 0.0
        self.last_active = asyncio.get_running_loop().time()
        self._push_faults = push_faults
        self._held: list[str] = []

    @property
    def account(self) -> str:
        """Empty before the login."""
        return "" if self.caller is None else self.caller.account.name

    @property
    def muted(self) -> bool:
        """Whether it says nothing at present, not even pong."""
        return asyncio.get_running_loop().time() < self.muted_until

    def mute(self, seconds: float) -> None:
        """Say nothing from now on for so long."""
        self.muted_until = asyncio.get_running_loop().time() + seconds

    def say(self, message: Row) -> None:
        """Answer an operation."""
        self.say_text(_ENCODER.encode(message).decode())

    def say_text(self, text: str) -> None:
        """Answer, unless muted."""
        if not self.muted:
            self._put(text)

    def push(self, subscription: Subscription, data: Sequence[object], *, action: str | None = None) -> None:
        """Send rows of a channel, if nothing goes wrong."""
        if self.muted:
            return
        message: dict[str, object] = {"arg": subscription.arg}
        if action is not None:
            message["action"] = action
        text = _ENCODER.encode({**message, "data": data}).decode()
        match self._push_faults.draw(subscription.topic[0], self.account):
            case "skip":
                return
            case "duplicate":
                self._put(text)
                self._put(text)
            case "reorder":
                self._held.append(text)
                return
            case None:
                self._put(text)
        held, self._held = self._held, []
        for late in held:
            self._put(late)

    def close(self, code: int | None, reason: str = "") -> None:
        """End it after what is in the outbox."""
        self.outbox.put_nowait(Close(code, reason))

    def _put(self, text: str) -> None:
        if self.outbox.qsize() >= OUTBOX_MAX:
            self.close(1013, "the client reads too slowly")
            return
        self.last_active = asyncio.get_running_loop().time()
        self.outbox.put_nowait(text)


class Hub:
    """All sessions, and which of them listen to which topic."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self._listeners: dict[Topic, dict[tuple[str, str], tuple[Session, Subscription]]] = {}

    def add(self, session: Session) -> None:
        """A new connection."""
        self.sessions[session.connection_id] = session

    def remove(self, session: Session) -> None:
        """It has ended."""
        for key in list(session.subscriptions):
            self.unsubscribe(session, key)
        self.sessions.pop(session.connection_id, None)

    def subscribe(self, session: Session, key: str, subscription: Subscription) -> None:
        """From the next push on; once, however often it is asked for."""
        session.subscriptions[key] = subscription
        self._listeners.setdefault(subscription.topic, {})[session.connection_id, key] = (session, subscription)

    def unsubscribe(self, session: Session, key: str) -> bool:
        """Whether it was subscribed."""
        subscription = session.subscriptions.pop(key, None)
        if subscription is None:
            return False
        listeners = self._listeners[subscription.topic]
        del listeners[session.connection_id, key]
        if not listeners:
            del self._listeners[subscription.topic]
        return True

    def listeners(self, topic: Topic) -> Sequence[tuple[Session, Subscription]]:
        """Who listens to it."""
        return tuple(self._listeners.get(topic, {}).values())

    def heard(self, inst_id: str, prefix: str) -> Sequence[str]:
        """Channels of an instrument that begin so and have a listener."""
        return [channel for channel, name in self._listeners if name == inst_id and channel.startswith(prefix)]

    def each(self, wanted: Callable[[Session], bool]) -> Iterator[Session]:
        """Sessions of a kind."""
        return iter([session for session in self.sessions.values() if wanted(session)])
