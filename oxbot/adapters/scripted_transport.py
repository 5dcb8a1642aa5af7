"""Models that run in our own code: the one that is always there, and those that misbehave, for tests and rehearsals."""

from collections.abc import Mapping, Sequence

from events.advice import AbstainReason, Usage
from oxbot.adapters.scripted_answers import BEHAVIOURS, RULE, answer
from oxbot.app.models.transport import CallFailed, Completion, Message, ModelCall

PROVIDER = "scripted"
LETTERS_PER_TOKEN = 4
MENDED = "_once"
"""A behaviour of this ending is shown to the first question only: told of its fault, the model keeps the rule."""

_FAILURES: Mapping[str, tuple[AbstainReason, int | None, float | None]] = {
    "failing": ("provider_error", 500, None),
    "unreachable": ("unreachable", None, None),
    "slow": ("timeout", None, None),
    "rate_limited": ("rate_limited", 429, 30.0),
    "refusing": ("refused", None, None),
    "unauthorised": ("refused", 401, None),
}
"""Ways to have no answer at all, by the name of the model after the slash."""


class ScriptedTransport:
    """A ``ModelTransport`` that calls nobody: ``scripted/`` and what it does, which is ``rule`` for the honest one."""

    def __init__(self, *, seed: int = 0) -> None:
        """Another ``seed`` is another model: it weighs differently."""
        self._seed = seed

    async def complete(self, call: ModelCall) -> Completion:
        """The answer, which is the same for the same messages. Raises ``CallFailed``."""
        behaviour = call.provider_model.removeprefix(f"{PROVIDER}/")
        if behaviour in _FAILURES:
            kind, status, after = _FAILURES[behaviour]
            raise CallFailed(kind, status=status, detail="as it was told to", retry_after=after)
        if behaviour.endswith(MENDED):
            repaired = any(message.role == "assistant" for message in call.messages)
            behaviour = RULE if repaired else behaviour.removesuffix(MENDED)
        if behaviour not in BEHAVIOURS:
            raise CallFailed("refused", status=404, detail="there is no such scripted model")
        text = answer(call.messages, behaviour=behaviour, seed=self._seed)
        return Completion(
            text=text,
            resolved_model=call.provider_model,
            finish_reason="length" if behaviour == "truncated" else "stop",
            usage=_usage(call.messages, text),
        )


def _usage(messages: Sequence[Message], text: str | None) -> Usage:
    said = sum(len(message.content) for message in messages)
    return Usage(input=-(-said // LETTERS_PER_TOKEN), output=-(-len(text or "") // LETTERS_PER_TOKEN))
