"""``oxbot trace``: what came of one request or command, by the id that its answer and every log line bear."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from events.envelope import Fact, RecordedEvent
from oxbot.app.trace import trace as traced
from oxbot.cli.audit_words import printable
from oxbot.cli.columns import print_rows
from oxbot.cli.inputs import InvalidInput
from oxbot.cli.installation import open_installation
from oxbot.config import Settings, load_settings
from oxbot.logs import configure_logs

COLUMNS = ("position", "recorded", "by", "stream", "fact", "follows", "names")
NAMES = ("order_id", "client_id", "venue_order_id")
"""By what a fact names an order: here, under what it was sent, and as the venue has it."""

app = typer.Typer()


class Traced(msgspec.Struct, frozen=True, kw_only=True):
    """A fact of the request; ``causation_id`` is the event that it follows from, null for what the request appended."""

    position: int
    recorded_at: str
    actor: str
    stream: str
    version: int
    event_id: UUID
    causation_id: UUID | None
    fact: Fact


@app.command()
def trace(
    request: Annotated[str, typer.Argument(help="The id: the answer's X-Request-Id, a log line's correlation_id.")],
    after: Annotated[int, typer.Option(min=0, help="Look only at what the log holds after this position.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the facts.")] = False,
) -> None:
    """List the facts that a request or a command led to, down to the order at the venue; exit 1 if there is none."""
    try:
        correlation_id = UUID(request)
    except ValueError as error:
        raise InvalidInput(f"{request!r} is no id of a request, which has 32 hexadecimal digits") from error
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)
    found = asyncio.run(_found(settings, correlation_id, after))
    if as_json:
        sys.stdout.write(msgspec.json.encode({"items": [_item(event) for event in found]}).decode() + "\n")
    else:
        print_rows(COLUMNS, rows(found))
    if not found:
        raise typer.Exit(1)


def rows(events: Sequence[RecordedEvent]) -> list[tuple[str, ...]]:
    """The cells of each event; ``follows`` is the position of the event that it follows from, where that is known."""
    positions: dict[UUID, int] = {event.event_id: event.position for event in events}
    return [tuple(printable(cell) for cell in _cells(event, positions)) for event in events]


def _cells(event: RecordedEvent, positions: Mapping[UUID, int]) -> tuple[str, ...]:
    cause = event.metadata.causation_id
    named = [value for name in NAMES if (value := getattr(event.fact, name, ""))]
    return (
        str(event.position),
        f"{event.recorded_at:%Y-%m-%d %H:%M:%S}",
        event.metadata.actor,
        event.stream,
        event.event_type,
        "" if cause is None else str(positions.get(cause, cause)),
        " ".join(named),
    )


def _item(event: RecordedEvent) -> Traced:
    return Traced(
        position=event.position,
        recorded_at=event.recorded_at.isoformat(),
        actor=event.metadata.actor,
        stream=event.stream,
        version=event.version,
        event_id=event.event_id,
        causation_id=event.metadata.causation_id,
        fact=event.fact,
    )


async def _found(settings: Settings, correlation_id: UUID, after: int) -> list[RecordedEvent]:
    async with open_installation(settings, name="trace", connections=1) as installation:
        return [event async for event in traced(installation.stores.log, correlation_id, after=after)]
