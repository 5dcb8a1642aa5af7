"""``oxbot projections``: see how far the views are, build them anew, let one pass over an event."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from oxbot.adapters.database import Role
from oxbot.app.clock import SystemClock
from oxbot.app.projections import Projections, ProjectionStatus
from oxbot.app.rebuild import Rebuild
from oxbot.app.skips import skip_event
from oxbot.app.views import Target, UnknownProjection
from oxbot.cli.installation import Installation, open_installation
from oxbot.config import load_settings
from oxbot.logs import configure_logs
from oxbot.views.projections import PROJECTIONS, AnyProjection
from oxbot.wiring.projector import collect_garbage_seldom

app = typer.Typer(no_args_is_help=True, help="See, rebuild and mend the projections.")

_Name = Annotated[str, typer.Argument(help="The projection's name.")]


@app.command()
def status() -> None:
    """Show how far each projection is, and where and why one is stopped."""

    async def work(installation: Installation) -> None:
        stores = installation.stores
        table = Table("projection", "version", "state", "position", "lag events", "lag s", "seen s ago", "stopped at")
        for known in await Projections(stores.log, stores.views).statuses():
            table.add_row(*_columns(known))
        Console().print(table)

    _run(work, role="oxbot_operator")


@app.command()
def rebuild(
    name: _Name,
    discard: Annotated[bool, typer.Option("--discard", help="Drop the rebuild that is under way.")] = False,
) -> None:
    """Fold a projection again from the first event, while it serves; interrupted, it goes on when asked again."""
    projection = _named(name)

    async def work(installation: Installation) -> None:
        stores = installation.stores
        if discard:
            dropped = await stores.views.discard_rebuild(name)
            sys.stdout.write(
                f"the rebuild of {name} is dropped\n" if dropped else f"no rebuild of {name} is under way\n"
            )
            return
        collect_garbage_seldom()
        await Rebuild(projection, log=stores.log, store=stores.views, clock=SystemClock()).run(waits_for_skips=False)
        serving = await stores.views.checkpoint(Target(name))
        position = serving.position if serving else 0
        sys.stdout.write(f"projection {name} is rebuilt up to position {position} and serves\n")

    _run(work, role="oxbot_projector")


@app.command()
def skip(
    name: _Name,
    position: Annotated[int, typer.Argument(min=1, help="The position that it is stopped at.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
) -> None:
    """Let a projection pass over the event that it is stopped at; this is recorded in the log."""
    _named(name)

    async def work(installation: Installation) -> None:
        stores = installation.stores
        await skip_event(
            name,
            position,
            reason=reason,
            log=stores.log,
            views=stores.views,
            at=SystemClock().now(),
            actor="cli",
        )
        sys.stdout.write(f"projection {name} passes over position {position}\n")

    _run(work, role="oxbot_operator")


def _named(name: str) -> AnyProjection:
    for projection in PROJECTIONS:
        if projection.name == name:
            return projection
    known = ", ".join(projection.name for projection in PROJECTIONS)
    raise UnknownProjection(f"there is no projection {name}; there is {known}")


def _columns(known: ProjectionStatus) -> tuple[str, ...]:
    serving, stopped = known.serving, known.stopped
    state = known.state if known.rebuild is None else f"{known.state} (rebuild at {known.rebuild.position})"
    where = "" if stopped is None else f"{stopped.position} {stopped.event_type}: {stopped.error}"
    seen = (SystemClock().now() - serving.seen_at).total_seconds()
    return (
        known.name,
        str(serving.version),
        state,
        str(serving.position),
        str(known.lag_events),
        f"{serving.lag_seconds:.1f}",
        f"{max(0.0, seen):.0f}",
        where,
    )


def _run(work: Callable[[Installation], Awaitable[None]], *, role: Role) -> None:
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)

    async def within() -> None:
        async with open_installation(settings, name="projections", role=role) as installation:
            await work(installation)

    asyncio.run(within())
