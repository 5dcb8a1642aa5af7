"""``oxbot replay``: prove the views and the decisions from the log and the stored candles."""

import asyncio
import os
import sys
from typing import Annotated

import typer

from events.bot import OrderDenied, OrderRequested
from events.errors import OxbotError
from events.identifiers import BotId
from oxbot.adapters.model_table import read_model_table
from oxbot.adapters.postgres_bodies import PostgresBodies
from oxbot.app.advice_replay import Reread, reread
from oxbot.app.advised_rerun import Rerun, Terms, changed, rerun
from oxbot.app.arena import cutoffs_of
from oxbot.app.projection import ProjectionRunner
from oxbot.app.redecide import Difference, Redecided
from oxbot.app.replay import Rebuilt, Undecided, rebuild_views, redecide_or_say
from oxbot.app.views import StoredRow
from oxbot.cli.audit_words import printable
from oxbot.cli.columns import CONTAMINATED
from oxbot.cli.inputs import InvalidInput
from oxbot.cli.installation import open_installation
from oxbot.config import Settings, load_settings
from oxbot.core.bot import BotDecider
from oxbot.core.money import text
from oxbot.views.arena import Cutoffs, contaminated
from oxbot.views.projections import PROJECTIONS
from oxbot.wiring.stores import Stores
from oxbot.wiring.strategies import usable_strategies

PAGE = 500

app = typer.Typer()


class ReplayDiffers(OxbotError):
    """The log does not lead to what is served or recorded."""


class ReplayIncomplete(OxbotError):
    """Some bots could not be decided again; all the others were, without a difference."""


@app.command()
def replay(
    bot: Annotated[list[str] | None, typer.Option(help="Decide again for this bot only; may come again.")] = None,
    fleet: Annotated[str | None, typer.Option(help="Decide again for this fleet only.")] = None,
    under: Annotated[
        list[str] | None,
        typer.Option(help="Live one --bot again with limits.NAME=value (sizing., parameters.)."),
    ] = None,
) -> None:
    """Rebuild every view from the log and decide every recorded decision again; exit 2 at any difference.

    A bot whose strategy is missing, broken or of another version is named and not decided again; exit 2 in the end.
    What models answered is read again from what is stored; none is called. With --under nothing is proven: it says what
    the bot would have done under other terms on the same answers, and stores nothing.
    """
    settings = load_settings(os.environ)
    if under:
        if bot is None or len(bot) != 1:
            raise InvalidInput("--under goes with one --bot")
        asyncio.run(_rerun(settings, BotId(bot[0]), under))
        return
    asyncio.run(_replay(settings, bot or [], fleet))


async def _replay(settings: Settings, bots: list[str], fleet: str | None) -> None:
    decider = BotDecider(usable_strategies())
    async with open_installation(settings, name="replay", role="oxbot_projector") as installation:
        stores = installation.stores
        await ProjectionRunner(stores.log, stores.views).catch_up()
        _say_views([await rebuild_views(stores.log, stores.views, projection) for projection in PROJECTIONS])
        results: list[Redecided] = []
        undecided: list[Undecided] = []
        answers: list[Reread] = []
        bodies = PostgresBodies(stores.pool)
        for bot_id in await _chosen(stores, bots, fleet):
            result = await redecide_or_say(bot_id, log=stores.log, candles=stores.candles, decider=decider)
            if isinstance(result, Undecided):
                sys.stdout.write(printable(f"bot {bot_id} not decided again: {result.reason}") + "\n")
                undecided.append(result)
                continue
            if result.difference is not None:
                raise ReplayDiffers(_describe(result.difference))
            results.append(result)
            answers.append(await reread(bot_id, log=stores.log, candles=stores.candles, bodies=bodies, decider=decider))
    _say_decisions(results)
    _say_answers(answers)
    if undecided:
        total = len(undecided) + len(results)
        named = ", ".join(one.bot_id for one in undecided)
        raise ReplayIncomplete(f"{len(undecided)} of {total} bots were not decided again: {named}")


async def _rerun(settings: Settings, bot_id: BotId, under: list[str]) -> None:
    strategies = usable_strategies()
    cutoffs = cutoffs_of(read_model_table(settings.models))
    given = [(path, value) for path, _, value in (each.partition("=") for each in under)]
    async with open_installation(settings, name="replay", role="oxbot_projector") as installation:
        log, candles = installation.stores.log, installation.stores.candles
        lives = [
            await rerun(bot_id, terms, log=log, candles=candles, strategies=strategies)
            for terms in (Terms(), await changed(bot_id, given, log=log))
        ]
    for life, terms in zip(lives, ("as recorded", ", ".join(under)), strict=True):
        sys.stdout.write(life_line(life, terms, cutoffs) + "\n")


def life_line(life: Rerun, terms: str, cutoffs: Cutoffs) -> str:
    """What came of a life, and, where its models may have known its market, that they may."""
    entries = sum(isinstance(fact, OrderRequested) and fact.reason == "entry" for fact in life.facts)
    denied = sum(isinstance(fact, OrderDenied) for fact in life.facts)
    seen = contaminated(life.asked, cutoffs, venue=life.state.configuration.market.venue)
    return (
        f"{printable(terms)}: {entries} entries, {denied} denied, {len(life.state.trades)} closed trades, "
        f"cash {text(life.state.ledger.cash)}, {life.answers} recorded answers, no model called"
        f"{'' if seen is False else f', contaminated: {CONTAMINATED[seen]}'}"
    )


async def _chosen(stores: Stores, bots: list[str], fleet: str | None) -> list[BotId]:
    rows: list[StoredRow] = []
    while page := await stores.views.across("bots", after_bot=rows[-1].bot_id if rows else "", limit=PAGE):
        rows.extend(page)
    known = [row.bot_id for row in rows if fleet is None or f'"fleet":"{fleet}"' in row.body.decode()]
    missing = sorted(set(bots) - set(known))
    if missing:
        raise ReplayDiffers(f"there is no bot {missing[0]}" + (f" in fleet {fleet}" if fleet else ""))
    return [BotId(bot) for bot in bots] or known


def _say_views(rebuilt: list[Rebuilt]) -> None:
    for projection in rebuilt:
        for view in projection.views:
            if view.first_difference is not None:
                where = f"at position {projection.position}: {view.first_difference}"
                raise ReplayDiffers(f"view {view.view} differs from the log {where}")
            sys.stdout.write(f"view {view.view}: {view.rows} rows, identical\n")
    views = sum(len(projection.views) for projection in rebuilt)
    events = max(projection.position for projection in rebuilt)
    sys.stdout.write(f"views: {views} rebuilt from {events} events, 0 differences\n")


def _say_decisions(results: list[Redecided]) -> None:
    decisions = sum(result.decisions for result in results)
    facts = sum(result.facts for result in results)
    frames = sum(result.frames for result in results)
    sys.stdout.write(
        f"decisions: {decisions} of {len(results)} bots decided again over {frames} candles, "
        f"{facts} facts, 0 differences\n"
    )
    live = [result for result in results if result.live]
    if live:
        sys.stdout.write(f"of {len(live)} live bots only the candles with facts: nothing is claimed for the others\n")


def _say_answers(rereads: list[Reread]) -> None:
    for each in rereads:
        if each.difference is not None:
            bot_id, advice_id, reason = each.difference
            raise ReplayDiffers(f"bot {bot_id}, advice {advice_id}: {printable(reason)}")
    requests = sum(each.requests for each in rereads)
    answers = sum(each.answers for each in rereads)
    if requests:
        sys.stdout.write(f"answers: {answers} to {requests} requests read again, 0 differences, no model called\n")


def _describe(difference: Difference) -> str:
    return (
        f"bot {difference.bot_id} at {difference.at:%Y-%m-%dT%H:%M:%SZ}: "
        f"recorded {_names(difference.recorded)}, decided {_names(difference.decided)}"
    )


def _names(facts: tuple[object, ...]) -> str:
    return "[" + "; ".join(repr(fact) for fact in facts) + "]" if facts else "nothing"
