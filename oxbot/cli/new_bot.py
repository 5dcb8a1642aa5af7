"""What ``oxbot bots create`` and ``configure`` were told: a file that is the API's body, options, or both."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from events.bot import BotCreated
from events.values import Sizing
from oxbot.app.given import BadField, exact_number, read_given
from oxbot.app.new_bot import NewBot, NewTerms
from oxbot.cli.inputs import InvalidInput

FILE_BYTES_MAX = 64 * 1024


def new_bot(file: Path | None, options: Mapping[str, object], settings: Sequence[str]) -> NewBot:
    """The file's fields, in their place those of the options that are not None, and ``path=value`` settings.

    What options and settings say they say once. Raises ``InvalidInput``, or ``OSError`` for a file that cannot be read.
    """
    body = {} if file is None else _read(file)
    chosen = {name: value for name, value in options.items() if value is not None}
    _check_settings(chosen, settings)
    body.update(chosen)
    for setting in settings:
        _set(body, setting)
    try:
        return read_given(body, NewBot, strict=False)
    except BadField as error:
        raise InvalidInput(f"the new bot cannot be read: {error}") from error


def new_terms(now: BotCreated, options: Mapping[str, object], settings: Sequence[str]) -> NewTerms:
    """What a bot is to have where that differs from how it would be created ``now``; said as for ``new_bot``.

    Raises ``InvalidInput``.
    """
    chosen = {name: value for name, value in options.items() if value is not None}
    _check_settings(chosen, settings)
    body: dict[str, object] = dict(chosen)
    known: dict[str, object] = {
        "parameters": {parameter.name: parameter.value for parameter in now.strategy.parameters},
        "limits": msgspec.to_builtins(now.limits),
        "sizing": msgspec.to_builtins(now.sizing or Sizing()),
    }
    for setting in settings:
        group = setting.partition("=")[0].partition(".")[0]
        if group in known:
            body.setdefault(group, known[group])
        _set(body, setting)
    try:
        return read_given(body, NewTerms, strict=False)
    except BadField as error:
        raise InvalidInput(f"the bot's new terms cannot be read: {error}") from error


def _read(file: Path) -> dict[str, object]:
    content = file.read_bytes()
    if len(content) > FILE_BYTES_MAX:
        raise InvalidInput(f"{file} has more than {FILE_BYTES_MAX} bytes")
    try:
        # So that no digit of a number is lost, and no field given twice passes as if it had been given once.
        body = json.loads(content, parse_float=exact_number, object_pairs_hook=_fields)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{file} is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise InvalidInput(f"{file} must hold one JSON object")
    return body


def _fields(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError(f"a field is given twice: {', '.join(name for name, _ in pairs)}")
    return fields


def _check_settings(chosen: Mapping[str, object], settings: Sequence[str]) -> None:
    """Raise ``InvalidInput`` for a field that is said twice, by an option and a setting or by two settings."""
    said: set[str] = set()
    for setting in settings:
        path = setting.partition("=")[0]
        if path in chosen:
            raise InvalidInput(f"--set {setting!r} contradicts {path} {chosen[path]!r}, which was given already")
        if path in said:
            raise InvalidInput(f"{path} is set twice")
        said.add(path)


def _set(body: dict[str, object], setting: str) -> None:
    path, equals, value = setting.partition("=")
    names = path.split(".")
    if not equals or not all(names):
        raise InvalidInput(f"--set {setting!r} is not of the form field=value or field.field=value")
    place = body
    for number, name in enumerate(names[:-1], start=1):
        inner = place.setdefault(name, {})
        if not isinstance(inner, dict):
            raise InvalidInput(f"--set {setting!r}: {'.'.join(names[:number])} has no fields")
        place = inner
    place[names[-1]] = value
