"""One turn of what is said to a model."""

from typing import Literal

import msgspec


class Message(msgspec.Struct, frozen=True):
    """A turn: "system" says what holds for every request of a template, "user" what is asked this time."""

    role: Literal["system", "user", "assistant"]
    content: str
