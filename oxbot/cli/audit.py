"""``oxbot audit``: verify the log, prove single events from it, and export its signed checkpoints."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer

from events.checkpoint import Checkpoint, CheckpointInvalid, VerifierKey
from events.errors import OxbotError
from oxbot.app.audit_proof import Inclusion, UnknownPosition, check_inclusion
from oxbot.app.audit_verify import AuditReport
from oxbot.app.audit_walk import Problem
from oxbot.app.checkpoints import RecordedCheckpoint
from oxbot.cli.audit_words import describe, printable
from oxbot.cli.inputs import InvalidInput
from oxbot.config import load_settings
from oxbot.logs import configure_logs
from oxbot.wiring.audit import Audit, LogIncomplete, open_audit, trusted_checkpoint

T = TypeVar("T")

FAILED = 1
PAGE = 500
POSITION_MAX = (1 << 63) - 1
FILE_MODE = 0o644
"""Proofs and checkpoints are for others to read."""

app = typer.Typer(name="audit", no_args_is_help=True, help="Verify the log, and prove what is in it.")


class ExportDiffers(OxbotError):
    """A checkpoint that was exported before is not the one that the log holds now."""


_Keys = Annotated[list[str] | None, typer.Option("--key", help="A trusted verifier key, name+id+key; may come again.")]


@app.command()
def verify(
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint that was kept outside of the database; may come again.")
    ] = None,
    key: _Keys = None,
    from_checkpoint: Annotated[
        Path | None, typer.Option(help="Trust this checkpoint, and read only the events after those it covers.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Make every hash of the log again and compare: exit 1, and the first bad position, if anything was changed."""

    async def verified(audit: Audit) -> AuditReport:
        keys = await audit.keys(key or [])
        anchors = [_trusted(path, keys) for path in checkpoint or []]
        base = None if from_checkpoint is None else _trusted(from_checkpoint, keys)
        remembered = await audit.remembered()
        if remembered is not None:
            anchors.append(remembered)
        return await audit.verifier(keys).verify(anchors=anchors, base=base)

    try:
        report = _run(verified)
    except LogIncomplete as missing:
        _say_incomplete(missing, as_json=as_json)
        raise typer.Exit(FAILED) from missing
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n" if as_json else describe(report))
    if report.problems:
        raise typer.Exit(FAILED)


@app.command()
def prove(
    position: Annotated[int, typer.Argument(min=1, help="The event's position in the log.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="Prove it under this checkpoint instead of the newest recorded one.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the proof to this file instead of standard output.")] = None,
) -> None:
    """Prove that an event is in the log, as JSON that ``oxbot audit check-proof`` can check without a database."""
    if position > POSITION_MAX:
        raise UnknownPosition(f"the log has no event at position {position}")
    if out is not None:
        _check_new(out)
    note = None if checkpoint is None else _read(checkpoint)
    inclusion = _run(lambda audit: audit.prover().prove(position, note=note))
    text = msgspec.json.format(msgspec.json.encode(inclusion)).decode() + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        _create(out, text)


@app.command("check-proof")
def check_proof(
    file: Annotated[Path, typer.Argument(help="A proof that ``oxbot audit prove`` or the API made.")],
    key: Annotated[list[str], typer.Option("--key", help="A trusted verifier key, name+id+key; may come again.")],
) -> None:
    """Check a proof, without any database; exit 2 if it does not prove that the event is in the log."""
    try:
        inclusion = msgspec.json.decode(_read(file), type=Inclusion)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"{file} is no proof: {error}") from error
    checkpoint = check_inclusion(inclusion, [VerifierKey.parse(one) for one in key])
    event = inclusion.event
    what = f"{printable(event.event_type)}, version {event.version} of stream {printable(event.stream)}"
    sys.stdout.write(
        f"position {event.position} of {printable(checkpoint.origin)} is {what}, recorded at "
        f"{event.recorded_at:%Y-%m-%dT%H:%M:%S.%fZ}: proven under the checkpoint of {checkpoint.size} events\n"
    )


@app.command()
def checkpoints(
    export: Annotated[
        Path | None,
        typer.Option(help="Write each checkpoint that is not archived to a file of this directory, named by its size."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many to list, the newest first.")] = 20,
) -> None:
    """List the checkpoints in the database, or export their signed notes to be kept where it cannot reach them."""
    if export is None:
        for one in _run(lambda audit: audit.checkpoints.before(None, limit)):
            sys.stdout.write(
                f"{one.size} events, root {one.root.hex()}, recorded at {one.recorded_at:%Y-%m-%dT%H:%M:%SZ}, "
                f"position {one.position}\n"
            )
        return
    written = _run(lambda audit: _export(audit, export))
    sys.stdout.write(f"exported {written} new checkpoints to {export}\n")


@app.command()
def key() -> None:
    """Print the verifier key of this installation, to be given to whoever checks its checkpoints and proofs."""

    async def own(audit: Audit) -> VerifierKey:
        return audit.key()

    sys.stdout.write(f"{_run(own)}\n")


async def _export(audit: Audit, directory: Path) -> int:
    """How many notes were new there. Raises ``ExportDiffers`` before a note that is there would be changed."""
    written, position = 0, None
    while page := await audit.checkpoints.before(position, PAGE):
        written += sum(_keep_note(directory, one) for one in page)
        position = page[-1].position
    return written


def _keep_note(directory: Path, checkpoint: RecordedCheckpoint) -> bool:
    path = directory / f"{checkpoint.size:020}.checkpoint"
    if not path.exists():
        _make(directory)
        _create(path, checkpoint.fact.note)
        return True
    if _read(path) != checkpoint.fact.note:
        raise ExportDiffers(f"{path} holds another checkpoint of {checkpoint.size} events than the log does")
    return False


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read {path}: {error}") from error


def _say_incomplete(missing: LogIncomplete, *, as_json: bool) -> None:
    """There is too little of the log for a report: what is missing is the whole of it."""
    if as_json:
        problems = [Problem(missing.position, str(missing))]
        sys.stdout.write(msgspec.json.encode({"problems": problems}).decode() + "\n")
    else:
        sys.stdout.write(
            f"position {missing.position}: {missing}\nNOT VERIFIED: the first bad position is {missing.position}\n"
        )


def _trusted(path: Path, keys: Sequence[VerifierKey]) -> Checkpoint:
    note = _read(path)
    try:
        return trusted_checkpoint(note, keys)
    except CheckpointInvalid as error:
        raise InvalidInput(f"{path}: {error}") from error


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"cannot make {directory}: {error.strerror}") from error


def _check_new(path: Path) -> None:
    """Before any work is done for a file that could not be written."""
    if path.exists() or path.is_symlink():
        raise InvalidInput(f"{path} is there already")
    if not path.parent.is_dir():
        raise InvalidInput(f"cannot write {path}: there is no directory {path.parent}")


def _create(path: Path, text: str) -> None:
    """Write a new file: its name appears with all of the text in it, or not at all."""
    _check_new(path)
    try:
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, FILE_MODE)
            try:
                file.write(text)
                file.flush()
                os.fsync(handle)
                Path(draft).replace(path)
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from error


def _run(call: Callable[[Audit], Awaitable[T]]) -> T:
    settings = load_settings(os.environ)
    configure_logs(settings.log_level)

    async def within() -> T:
        async with open_audit(settings) as audit:
            return await call(audit)

    return asyncio.run(within())
