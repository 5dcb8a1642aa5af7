"""One decision with its evidence, and the texts that a model was sent and answered."""

from collections.abc import Awaitable, Callable
from typing import Literal

from starlette.responses import Response

from events.identifiers import AdviceId, DecisionId
from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.reading import PROBLEMS, ViewQuery, from_views
from oxbot.app.evidence import DecisionEvidence, UnknownRecord
from oxbot.app.views import Snapshot

Which = Literal["prompt", "answer"]


async def show_decision(call: Call[ViewQuery, Nothing], views: Snapshot) -> Response:
    """One decision with all that led to it and followed from it."""
    decision_id = DecisionId(call.request.path_params["decision_id"])
    return answer(await call.services.reads.evidence.decision(call.bot_id, decision_id, views))


def _text(which: Which) -> Callable[[Call[ViewQuery, Nothing], Snapshot], Awaitable[Response]]:
    async def show_text(call: Call[ViewQuery, Nothing], views: Snapshot) -> Response:
        reads = call.services.reads
        advice = await reads.evidence.advice(call.bot_id, AdviceId(call.request.path_params["advice_id"]), views)
        body = advice.prompt if which == "prompt" else advice.answer
        if body is None:
            raise UnknownRecord(f"there is no {which} of that advice on record")
        # What somebody else wrote: shown as the bytes that it is, and as nothing that a browser would run.
        return Response(await reads.bodies.get(body), media_type="text/plain", headers={"X-Body-SHA256": body})

    return show_text


def _text_operation(which: Which, summary: str) -> Operation:
    return operation(
        from_views(_text(which)),
        name=f"show_{which}",
        method="GET",
        path=f"{PREFIX}/bots/{{bot_id}}/advice/{{advice_id}}/{which}",
        least="viewer",
        of="bot",
        summary=summary,
        query=ViewQuery,
        body=Nothing,
        answer=str,
        media_type="text/plain",
        problems=PROBLEMS,
    )


OPERATIONS: tuple[Operation, ...] = (
    operation(
        from_views(show_decision),
        name="show_decision",
        method="GET",
        path=f"{PREFIX}/bots/{{bot_id}}/decisions/{{decision_id}}",
        least="viewer",
        of="bot",
        summary="A decision: its inputs, the verdict of the risk gate, its orders and fills, and the advice before it.",
        query=ViewQuery,
        body=Nothing,
        answer=DecisionEvidence,
        problems=(410, *PROBLEMS),
    ),
    _text_operation("prompt", "What a model was sent, to the letter."),
    _text_operation("answer", "What a model answered, to the letter."),
)
