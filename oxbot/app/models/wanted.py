"""What the gateway is asked for: one bot's advice, as a rendered prompt and a way to read its answer."""

from datetime import datetime
from typing import Protocol

import msgspec

from events.advice import AbstainReason, AdviceAbstained, AdviceClass, AdviceReceived, Opinion, Refusal
from events.identifiers import HOUSE, AdviceId, BodyHash, BotId, FleetName, ModelName
from oxbot.app.bodies import body_hash
from oxbot.app.models.known import KnownModel
from oxbot.app.models.transport import Message, ModelCall

_encoder = msgspec.json.Encoder(order="sorted")


class Prompt(msgspec.Struct, frozen=True):
    """What is put to a model: the conversation so far, and the JSON schema of the answer, as text."""

    messages: tuple[Message, ...]
    schema: str

    @property
    def body(self) -> bytes:
        """How it is kept, and what its hash is of; the same prompt always comes to the same bytes."""
        return _encoder.encode(self)

    @property
    def hash(self) -> BodyHash:
        """The hash under which it is kept."""
        return body_hash(self.body)

    @property
    def bytes_max(self) -> int:
        """More tokens than it can have: none of them stands for less than a byte, and each turn has a few around it."""
        turns = sum(len(message.content.encode()) + TOKENS_AROUND for message in self.messages)
        return turns + len(self.schema.encode())

    def call(self, model: KnownModel, *, timeout_seconds: float) -> ModelCall:
        """The call that puts it to that model, as its table says."""
        return ModelCall(
            model=model.name,
            provider_model=model.provider_model,
            base_url=model.base_url,
            messages=self.messages,
            schema=self.schema,
            output_tokens=model.output_tokens,
            timeout_seconds=timeout_seconds,
            temperature=float(model.temperature) if model.sends_temperature else None,
            structured=model.structured,
        )

    def with_words(self, words: str) -> "Prompt":
        """The same prompt with something more said at its end; no word of any model's is among it."""
        *before, last = self.messages
        if last.role == "user":
            return Prompt((*before, Message("user", f"{last.content}\n\n{words}")), self.schema)
        return Prompt((*self.messages, Message("user", words)), self.schema)


TOKENS_AROUND = 16


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What could be read of an answer. ``lenient``: it had to be freed of something around it first."""

    opinions: tuple[Opinion, ...]
    refusals: tuple[Refusal, ...] = ()
    lenient: bool = False


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of which nothing can be used, why, and what to tell the model so that it answers better.

    Nothing that the model wrote may be in ``repair``.
    """

    fault: str
    repair: str
    reason: AbstainReason = "invalid"


class Reader(Protocol):
    """Reads a model's raw answer to one prompt; pure, and whatever the text is, it raises nothing."""

    def __call__(self, raw: str) -> Reading | Unreadable:
        """What it says."""
        ...


class AdviceWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A request on a bot's stream that has no answer yet.

    ``template`` is its name and version, as in "market/1". After ``deadline``, on the gateway's clock, no call is begun
    for it. Requests with the same model and prompt are read by the same rules.
    """

    advice_id: AdviceId
    bot_id: BotId
    fleet: FleetName
    owner: str = HOUSE
    advice_class: AdviceClass
    model: ModelName
    template: str
    prompt: Prompt
    read: Reader
    deadline: datetime


Delivered = AdviceReceived | AdviceAbstained
"""What a bot's stream is told in the end."""


class Deliver(Protocol):
    """Puts what came of a request on the bot's stream, once, however often it is told."""

    async def __call__(self, bot_id: BotId, fact: Delivered) -> None:
        """Return once it is durable."""
        ...


class Payer(msgspec.Struct, frozen=True):
    """Who else pays for a bot: its owner, of whom the house is one, and its fleet."""

    owner: str
    fleet: FleetName


class Payers(Protocol):
    """Knows who pays for which bot."""

    async def of(self, bot_id: BotId) -> Payer:
        """The payer of a bot that has been asked for before."""
        ...
