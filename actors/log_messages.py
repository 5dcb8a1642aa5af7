"""What is said between a gateway and the processes that reach the log and the candles through it."""

import pickle
from collections.abc import Sequence
from datetime import datetime

import msgspec

from events.encoded import EncodedCommand
from events.envelope import RecordedEvent
from events.errors import OxbotError
from events.identifiers import StreamId
from events.log import Appended
from events.values import Timestamp
from oxbot.app.candle_store import Extent
from oxbot.core.candles import Candle, Series


class Append(msgspec.Struct, frozen=True, array_like=True, tag="append"):
    """Store these commands; each is answered for itself. Sent again with the same event ids, it changes nothing."""

    commands: Sequence[EncodedCommand]


class ReadStream(msgspec.Struct, frozen=True, array_like=True, tag="read_stream"):
    """See ``LogReader.read_stream``."""

    stream: StreamId
    after_version: int
    limit: int | None
    up_to_position: int | None


class ReadAll(msgspec.Struct, frozen=True, array_like=True, tag="read_all"):
    """See ``LogReader.read_all``."""

    after_position: int
    limit: int
    types: Sequence[str] | None
    up_to: int | None


class Head(msgspec.Struct, frozen=True, array_like=True, tag="head"):
    """See ``LogReader.head``."""


class WaitBeyond(msgspec.Struct, frozen=True, array_like=True, tag="wait_beyond"):
    """See ``LogReader.wait_beyond``."""

    position: int
    timeout_seconds: float


class PositionAt(msgspec.Struct, frozen=True, array_like=True, tag="position_at"):
    """See ``LogReader.position_at``."""

    time: datetime


class ReadCandles(msgspec.Struct, frozen=True, array_like=True, tag="read_candles"):
    """See ``CandleStore.read``."""

    series: Series
    begins_at: Timestamp
    ends_before: Timestamp
    limit: int | None


class Window(msgspec.Struct, frozen=True, array_like=True, tag="window"):
    """See ``CandleStore.window``."""

    series: Series
    last: Timestamp
    count: int


class ExtentOf(msgspec.Struct, frozen=True, array_like=True, tag="extent_of"):
    """See ``CandleStore.extent``."""

    series: Series


class Outcomes(msgspec.Struct, frozen=True, array_like=True, tag="outcomes"):
    """One for each command of an append: where it stands, or the error that refused it."""

    outcomes: Sequence[Appended | bytes]


class Events(msgspec.Struct, frozen=True, array_like=True, tag="events"):
    """Events in the order in which they were asked for."""

    events: list[RecordedEvent]


class Number(msgspec.Struct, frozen=True, array_like=True, tag="number"):
    """A position or a count."""

    number: int


class Candles(msgspec.Struct, frozen=True, array_like=True, tag="candles"):
    """Candles, oldest first."""

    candles: list[Candle]


class FoundExtent(msgspec.Struct, frozen=True, array_like=True, tag="extent"):
    """How much is stored of a series, if anything is."""

    extent: Extent | None


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """The request was refused, or could not be carried out."""

    error: bytes


Request = Append | ReadStream | ReadAll | Head | WaitBeyond | PositionAt | ReadCandles | Window | ExtentOf
Reply = Outcomes | Events | Number | Candles | FoundExtent | Failed

_encoder = msgspec.msgpack.Encoder(uuid_format="bytes")
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def encode(message: Request | Reply) -> bytes:
    """The message as bytes."""
    return _encoder.encode(message)


def decode_request(request: bytes) -> Request:
    """What was asked."""
    return _requests.decode(request)


def decode_reply(reply: bytes) -> Reply:
    """What was answered."""
    return _replies.decode(reply)


def encode_error(error: OxbotError) -> bytes:
    """The error with its attributes, as bytes."""
    return pickle.dumps(error)


def decode_error(error: bytes) -> OxbotError:
    """The error as it was raised."""
    decoded = pickle.loads(error)  # noqa: S301 - from a process of this fleet, which runs the code that is sent to it
    if not isinstance(decoded, OxbotError):
        raise TypeError(f"{type(decoded).__name__} is no error of ours")
    return decoded
