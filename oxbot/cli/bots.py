"""``oxbot bots``: create, list, show, configure, start, stop, halt, arm and fund the bots of the main fleet."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from events.bot import TradingState
from events.identifiers import BotId
from oxbot.adapters.model_table import read_model_table
from oxbot.adapters.postgres_failing_bots import PostgresFailingBots
from oxbot.app.account_directory import AccountDirectory, AccountFailures
from oxbot.app.bots import BotCommands, CommandResult, UnknownBot
from oxbot.app.capital import BookedFlow, CapitalFlow
from oxbot.app.equity import EquityReader, EverythingStoredIsClosed
from oxbot.app.failing import FailingBot, listed, shown
from oxbot.app.fleet_report import FleetReporter
from oxbot.app.fleet_switch import Switched, switch_fleet
from oxbot.app.given import BadField, read_given
from oxbot.app.projection import ProjectionRunner
from oxbot.app.views import StoredRow
from oxbot.cli.audit_words import printable
from oxbot.cli.bot_tables import print_bot
from oxbot.cli.bots_named import bot_meant
from oxbot.cli.columns import print_rows
from oxbot.cli.inputs import MOMENT, InvalidInput, parse_amount, parse_parameters, parse_symbols, parse_until
from oxbot.cli.installation import Installation, open_installation
from oxbot.cli.new_bot import new_bot, new_terms
from oxbot.cli.owners import owner_meant
from oxbot.config import load_settings
from oxbot.core.money import text
from oxbot.logs import configure_logs
from oxbot.views.rows import BotLine, PortfolioRow
from oxbot.wiring.strategies import installed_strategies

app = typer.Typer(
    name="bots",
    no_args_is_help=True,
    help="Create, list, configure, start, pause, stop, halt, arm and fund bots.",
)

PAGE = 500
HEADERS = ("bot", "fleet", "name", "status", "trading", "strategy", "symbols", "cash", "free")

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_BotArgument = Annotated[str, typer.Argument(help="The bot's id, or its name where no other bot has it.")]
_OneOrAll = Annotated[str | None, typer.Argument(help="The bot's id, or its name where no other bot has it.")]
_All = Annotated[bool, typer.Option("--all", help="Every bot of the fleet.")]
_Amount = Annotated[str, typer.Argument(help="How much, in quote currency.")]
_Reference = Annotated[
    str, typer.Option(help="Your own name for this flow: said again with the same one, nothing more is booked.")
]
_Reason = Annotated[str, typer.Option(help="Why, for the record.")]


@app.command("list")
def list_bots(as_json: _Json = False) -> None:
    """List every bot of every fleet."""

    async def work(installation: Installation) -> None:
        failing = await _failing(installation)
        bots = [listed(row.body, failing.get(row.bot_id)) for row in await _all(installation, "bots")]
        if as_json:
            sys.stdout.write(msgspec.json.encode(bots).decode() + "\n")
            return
        portfolios = {row.bot_id: row.body for row in await _all(installation, "portfolios")}
        print_rows(HEADERS, [_columns(bot, portfolios[bot.bot_id]) for bot in bots])
        for bot in bots:
            if bot.halted:
                sys.stdout.write(printable(f"{bot.bot_id} was halted by {bot.halted}") + "\n")
            if bot.failing_since is not None:
                since = f"{bot.failing_since:%Y-%m-%dT%H:%M:%SZ}"
                sys.stdout.write(printable(f"{bot.bot_id} is failing since {since}: {bot.error}") + "\n")

    _run(work)


@app.command()
def create(
    name: Annotated[str | None, typer.Argument(help="A name for people.")] = None,
    symbols: Annotated[str | None, typer.Option(help="Symbols, separated by commas.")] = None,
    strategy: Annotated[str | None, typer.Option(help="What it decides by; ema_cross unless given.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="A strategy parameter, name=value; may come again.")] = None,
    capital: Annotated[str | None, typer.Option(help="Quote capital; 10000 unless given.")] = None,
    account: Annotated[
        str | None, typer.Option(help="Trade with real money: the account at the fleet's venue that its orders go to.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option(help="Whose it is: a user's name or id; the house's unless given.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any other field of the API's body, such as limits.drawdown_max=0.2; may come again."
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--from", help="A JSON file that is the API's body; what else is given goes before.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Create a bot; it does nothing until it is started."""
    options = {
        "name": name,
        "symbols": None if symbols is None else list(parse_symbols(symbols)),
        "strategy": strategy,
        "capital": None if capital is None else parse_amount(capital, "--capital"),
        "account": account,
    }
    parameters = [f"parameters.{known}={value}" for known, value in parse_parameters(param or []).items()]
    request = new_bot(file, options, parameters + (settings or []))
    installed_strategies()

    async def work(installation: Installation) -> None:
        whose = await owner_meant(installation, request.owner if owner is None else owner)
        wanted = msgspec.structs.replace(request, owner=whose)
        _say(await installation.commands("cli").create(wanted), as_json=as_json)

    _run(work)


@app.command()
def start(bot: _BotArgument, as_json: _Json = False) -> None:
    """Let a bot trade, or end its pause."""
    _command(bot, lambda commands, bot_id: commands.start(bot_id), as_json=as_json)


@app.command()
def pause(bot: _BotArgument, reason: str = "", as_json: _Json = False) -> None:
    """Let a bot enter nothing new; its exits are still managed."""
    _command(bot, lambda commands, bot_id: commands.pause(bot_id, reason), as_json=as_json)


@app.command()
def stop(
    bot: _BotArgument,
    reason: str = "",
    policy: Annotated[
        Literal["close", "keep"],
        typer.Option(help="What it holds is sold at the next open, or kept until its own stops and targets close it."),
    ] = "close",
    as_json: _Json = False,
) -> None:
    """End a bot for good, and sell what it holds at the next open or keep it with its exits."""
    _command(bot, lambda commands, bot_id: commands.stop(bot_id, reason, policy=policy), as_json=as_json)


@app.command()
def archive(bot: _BotArgument, reason: _Reason = "", as_json: _Json = False) -> None:
    """Put away a stopped bot that holds nothing; lists leave it out."""
    _command(bot, lambda commands, bot_id: commands.archive(bot_id, reason), as_json=as_json)


@app.command()
def forceexit(
    bot: _BotArgument,
    symbols: Annotated[str | None, typer.Option(help="In these alone, separated by commas.")] = None,
    reason: _Reason = "",
    as_json: _Json = False,
) -> None:
    """Let a bot leave what it holds, whatever its strategy thinks: at the next open, at a venue at once."""
    told = () if symbols is None else parse_symbols(symbols)
    _command(bot, lambda commands, bot_id: commands.force_exit(bot_id, told, reason), as_json=as_json)


@app.command()
def configure(
    bot: _BotArgument,
    name: Annotated[str | None, typer.Option(help="Another name for people.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="A strategy parameter, name=value; may come again.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A field of limits or sizing, such as limits.drawdown_max=0.2; may come again."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Give a bot other terms from its next candle on; whatever is not said stays as it is."""
    parameters = [f"parameters.{known}={value}" for known, value in parse_parameters(param or []).items()]
    installed_strategies()

    async def work(installation: Installation) -> None:
        bot_id = bot_meant(bot, await _all(installation, "bots"))
        commands = installation.commands("cli")
        wanted = new_terms(await commands.terms(bot_id), {"name": name}, parameters + (settings or []))
        _say(await commands.configure(bot_id, wanted), as_json=as_json)

    _run(work)


@app.command()
def arm(
    bot: _BotArgument,
    until: Annotated[str | None, typer.Option(help="Until that moment.")] = None,
    lasting: Annotated[str | None, typer.Option("--for", help="For so long, such as 30m, 8h or 2d.")] = None,
    as_json: _Json = False,
) -> None:
    """Let a bot with an account enter with real money, for 30 days at most; its account must be armed as well."""
    moment = parse_until(until, lasting, datetime.now(UTC))

    async def armed(commands: BotCommands, bot_id: BotId) -> CommandResult:
        return (await commands.arm(bot_id, moment))._replace(note=f"it is armed until {moment:{MOMENT}}")

    _command(bot, armed, as_json=as_json)


@app.command()
def disarm(bot: _BotArgument, reason: _Reason = "", as_json: _Json = False) -> None:
    """Let a bot with an account enter nothing more; its exits go on."""

    async def disarmed(commands: BotCommands, bot_id: BotId) -> CommandResult:
        return (await commands.disarm(bot_id, reason))._replace(note="it is not armed any more; its exits go on")

    _command(bot, disarmed, as_json=as_json)


@app.command()
def halt(bot: _OneOrAll = None, everyone: _All = False, reason: _Reason = "", as_json: _Json = False) -> None:
    """Let a bot, or the fleet with --all, do nothing but protect what it holds."""
    _switch(bot, "halted", reason, everyone=everyone, as_json=as_json)


@app.command()
def reduce(bot: _OneOrAll = None, everyone: _All = False, reason: _Reason = "", as_json: _Json = False) -> None:
    """Let a bot, or the fleet with --all, only make its positions smaller."""
    _switch(bot, "reducing", reason, everyone=everyone, as_json=as_json)


@app.command()
def activate(bot: _OneOrAll = None, everyone: _All = False, reason: _Reason = "", as_json: _Json = False) -> None:
    """Let a bot, or the fleet with --all, enter again; its drawdown counts anew from there."""
    _switch(bot, "active", reason, everyone=everyone, as_json=as_json)


@app.command()
def deposit(bot: _BotArgument, amount: _Amount, reference: _Reference, as_json: _Json = False) -> None:
    """Bring a bot quote currency, once for each reference."""
    flow = _flow(amount, reference)
    _book(bot, lambda bots, bot_id: bots.deposit(bot_id, flow.amount, reference=flow.reference), as_json=as_json)


@app.command()
def withdraw(bot: _BotArgument, amount: _Amount, reference: _Reference, as_json: _Json = False) -> None:
    """Take quote currency that is free out of a bot, once for each reference."""
    flow = _flow(amount, reference)
    _book(bot, lambda bots, bot_id: bots.withdraw(bot_id, flow.amount, reference=flow.reference), as_json=as_json)


@app.command()
def show(bot: _BotArgument, as_json: _Json = False) -> None:
    """Show a bot's result so far, and all that it was created with: the limits that hold, what it trades."""

    async def work(installation: Installation) -> None:
        stores = installation.stores
        bot_id = bot_meant(bot, await _all(installation, "bots"))
        async with stores.views.snapshot() as views:
            body, version = await views.row("bots", bot_id), await views.version_of(bot_id)
        if body is None:
            raise UnknownBot(f"there is no bot {bot}")
        failing = await _failing(installation)
        equity = EquityReader(stores.views, stores.candles, EverythingStoredIsClosed())
        models = read_model_table(load_settings(os.environ).models)
        result = await FleetReporter(stores.views, equity, models).bot(bot_id)
        found = shown(body, failing.get(bot_id), version=version)
        if not as_json:
            print_bot(found, result)
            return
        both = msgspec.json.encode({"bot": found, "result": result})
        sys.stdout.write(msgspec.json.format(both).decode() + "\n")

    _run(work)


def _command(bot: str, call: Callable[[BotCommands, BotId], Awaitable[CommandResult]], *, as_json: bool) -> None:
    async def work(installation: Installation) -> None:
        bot_id = bot_meant(bot, await _all(installation, "bots"))
        _say(await call(installation.commands("cli"), bot_id), as_json=as_json)

    _run(work)


def _flow(amount: str, reference: str) -> CapitalFlow:
    try:
        return read_given({"amount": amount, "reference": reference}, CapitalFlow, strict=False)
    except BadField as error:
        raise InvalidInput(str(error)) from error


def _book(bot: str, call: Callable[[BotCommands, BotId], Awaitable[BookedFlow]], *, as_json: bool) -> None:
    async def work(installation: Installation) -> None:
        bot_id = bot_meant(bot, await _all(installation, "bots"))
        booked = await call(installation.commands("cli"), bot_id)
        said = {"bot_id": bot_id, **booked._asdict(), "amount": text(booked.amount)}
        if as_json:
            sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
        else:
            sys.stdout.write(
                f"bot {bot_id}: {booked.kind} of {text(booked.amount)} under {printable(booked.reference)}\n"
            )

    _run(work)


def _switch(bot: str | None, state: TradingState, reason: str, *, everyone: bool, as_json: bool) -> None:
    if (bot is None) != everyone:
        raise InvalidInput("name one bot, or say --all")
    if bot is not None:
        _command(bot, lambda commands, bot_id: commands.set_trading(bot_id, state, reason), as_json=as_json)
        return

    async def work(installation: Installation) -> None:
        switched = await switch_fleet(installation.commands("cli"), state, reason)
        if as_json:
            sys.stdout.write(msgspec.json.encode([_raw(outcome) for outcome in switched]).decode() + "\n")
            return
        for outcome in switched:
            if outcome.result is None:
                sys.stdout.write(outcome.refusal + "\n")
            else:
                _say(outcome.result, as_json=False)

    _run(work)


def _raw(outcome: Switched) -> dict[str, object]:
    standing = None if outcome.result is None else outcome.result._asdict()
    return {"bot_id": outcome.bot_id, "standing": standing, "refusal": outcome.refusal}


def _say(result: CommandResult, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.encode(result._asdict()).decode() + "\n")
    else:
        trading = "" if result.trading == "active" else f", {result.trading}"
        note = f"; {result.note}" if result.note else ""
        sys.stdout.write(f"bot {result.bot_id} is {result.status}{trading}{note}\n")


def _columns(bot: BotLine, portfolio: bytes) -> tuple[str, ...]:
    money = msgspec.json.decode(portfolio, type=PortfolioRow)
    standing = bot.bot_id, bot.fleet, printable(bot.name), bot.status, bot.trading
    return *standing, bot.strategy, ", ".join(bot.symbols), money.cash, money.free


async def _failing(installation: Installation) -> dict[BotId, FailingBot]:
    """Those that do not live, and those whose account lets nothing enter."""
    stores = installation.stores
    return await AccountFailures(PostgresFailingBots(stores.pool), AccountDirectory(stores.log)).all()


def _run(work: Callable[[Installation], Awaitable[None]]) -> None:
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)

    async def within() -> None:
        async with open_installation(settings, name="cli") as installation:
            await ProjectionRunner(installation.stores.log, installation.stores.views).catch_up()
            await work(installation)

    asyncio.run(within())


async def _all(installation: Installation, view: str) -> list[StoredRow]:
    rows: list[StoredRow] = []
    while page := await installation.stores.views.across(
        view,  # type: ignore[arg-type]  # one of the two single-row views, given above
        after_bot=rows[-1].bot_id if rows else "",
        limit=PAGE,
    ):
        rows.extend(page)
    return rows
