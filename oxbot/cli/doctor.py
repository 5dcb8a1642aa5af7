"""``oxbot doctor``: what is fine with an installation and what is not."""

import asyncio
import os
import sys
from typing import Annotated

import msgspec
import typer

from oxbot.cli.audit_words import printable
from oxbot.config import InvalidSetting, load_settings
from oxbot.logs import configure_logs
from oxbot.wiring.doctor import Finding, examine

ILL = 1

app = typer.Typer()


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Examine the installation: a line for each thing, with what to do where it is not fine; exit 1 if any is not."""
    findings = asyncio.run(_findings())
    if as_json:
        sys.stdout.write(msgspec.json.encode(findings).decode() + "\n")
    else:
        sys.stdout.write("".join(line_of(finding) + "\n" for finding in findings))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(ILL)


def line_of(finding: Finding) -> str:
    """The finding in one line."""
    advice = f"; {finding.advice}" if finding.advice else ""
    return printable(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name}: {finding.found}{advice}")


async def _findings() -> list[Finding]:
    try:
        settings = load_settings(os.environ)
    except InvalidSetting as error:
        return [Finding(name="settings", ok=False, found=str(error), advice="mend the environment")]
    configure_logs(settings.log_level)
    return [
        Finding(name="settings", ok=True, found="all are known and well-formed"),
        *[finding async for finding in examine(settings, os.environ)],
    ]
