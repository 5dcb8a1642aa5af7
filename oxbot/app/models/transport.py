"""The port to language models: one call, one answer or the reason why there is none, no retries."""

from typing import Literal, Protocol

import msgspec

from events.advice import AbstainReason, Usage
from events.errors import OxbotError
from events.identifiers import ModelName
from oxbot.core.prompts.message import Message

__all__ = ["SETTINGS_STATUSES", "CallFailed", "Completion", "Message", "ModelCall", "ModelTransport"]

SETTINGS_STATUSES = frozenset({400, 401, 402, 403, 404, 405, 422})
"""What a provider answers to calls that it would answer in the same way again, until somebody mends the settings."""


class ModelCall(msgspec.Struct, frozen=True, kw_only=True):
    """All that is said to a provider; which key goes with it, the adapter finds by the ``model``'s name.

    ``schema`` is the JSON schema of the answer, as text. The call has ended after ``timeout_seconds``, one way or the
    other.
    """

    model: ModelName
    provider_model: str
    messages: tuple[Message, ...]
    schema: str
    output_tokens: int
    timeout_seconds: float
    base_url: str | None = None
    temperature: float | None = None
    structured: Literal["json_schema", "json_object", "none"] = "json_schema"


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider answered: the text is as it came, None where there was none."""

    text: str | None
    resolved_model: str
    request_id: str = ""
    finish_reason: str = ""
    usage: Usage = Usage()
    status: int = 200


class CallFailed(OxbotError):
    """A call that has no answer; ``detail`` is safe to be recorded and shown.

    A ``kind`` "refused" with one of the ``SETTINGS_STATUSES`` closes the model until its settings are mended; so does a
    prompt that is too long for it. What a provider refuses of one prompt for its content comes without a status.
    """

    def __init__(
        self, kind: AbstainReason, *, status: int | None = None, detail: str = "", retry_after: float | None = None
    ) -> None:
        """``retry_after`` is in seconds, where the provider said so."""
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind
        self.status = status
        self.detail = detail
        self.retry_after = retry_after

    @property
    def settings(self) -> bool:
        """Whether the same call would be refused again and again."""
        return self.kind == "refused" and self.status in SETTINGS_STATUSES


class ModelTransport(Protocol):
    """Calls models. It may be cancelled at any moment, and then nothing of the call is left running."""

    async def complete(self, call: ModelCall) -> Completion:
        """Make exactly one request. Raises ``CallFailed``."""
        ...
