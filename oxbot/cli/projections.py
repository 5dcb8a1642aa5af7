"""``oxbot projections``: see how far the views are, build them anew, let one pass over an event."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
import typer

from oxbot.adapters.database import Role
from oxbot.api.projections import report
from oxbot.app.clock import SystemClock
from oxbot.app.projections import Projections, is_kept
from oxbot.app.rebuild import Rebuild
from oxbot.app.skips import Skips, skip_event
from oxbot.app.views import Target, UnknownProjection
from oxbot.cli.columns import print_rows
from oxbot.cli.inputs import InvalidInput
from oxbot.cli.installation import Installation, open_installation
from oxbot.cli.projections_status import COLUMNS, columns, notices
from oxbot.config import load_settings
from oxbot.logs import configure_logs
from oxbot.views.projections import PROJECTIONS, AnyProjection
from oxbot.wiring.projector import collect_garbage_seldom

app = typer.Typer(name="projections", no_args_is_help=True, help="See, rebuild and mend the projections.")

AHEAD = 1

_Name = Annotated[str, typer.Argument(help="The projection's name.")]


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/v1/projections does.")] = False,
) -> None:
    """Show how far each projection is, and where and why one is stopped; exit 1 if one is beyond the log's end."""

    async def work(installation: Installation) -> None:
        stores = installation.stores
        statuses = await Projections(stores.log, stores.views).statuses()
        if as_json:
            sys.stdout.write(msgspec.json.encode(report(statuses)).decode() + "\n")
        else:
            skips = Skips(stores.log)
            print_rows(COLUMNS, [columns(known) for known in statuses])
            for known in statuses:
                told = await skips.of(known.name) if known.stopped else frozenset[int]()
                sys.stdout.write("".join(f"{line}\n" for line in notices(known, told)))
        if any(known.state == "ahead" for known in statuses):
            raise typer.Exit(AHEAD)

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
    if not reason.strip():
        raise InvalidInput("--reason must say why")

    async def work(installation: Installation) -> None:
        stores = installation.stores
        await skip_event(
            name,
            position,
            reason=reason.strip(),
            log=stores.log,
            views=stores.views,
            at=SystemClock().now(),
            actor="cli",
        )
        sys.stdout.write(f"projection {name} passes over position {position}\n")
        for known in await Projections(stores.log, stores.views).statuses():
            if known.name == name and known.rebuild and known.rebuild.stopped and not is_kept(known.rebuild):
                sys.stdout.write(f"its rebuild is not running: oxbot projections rebuild {name} goes on with it\n")

    _run(work, role="oxbot_operator")


def _named(name: str) -> AnyProjection:
    for projection in PROJECTIONS:
        if projection.name == name:
            return projection
    known = ", ".join(projection.name for projection in PROJECTIONS)
    raise UnknownProjection(f"there is no projection {name}; there is {known}")


def _run(work: Callable[[Installation], Awaitable[None]], *, role: Role) -> None:
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)

    async def within() -> None:
        async with open_installation(settings, name="projections", role=role) as installation:
            await work(installation)

    asyncio.run(within())
