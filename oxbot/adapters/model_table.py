"""Reads the table of models, a TOML file, and finds the key of each, which the table only names."""

import re
import stat
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from events.errors import OxbotError
from events.identifiers import ModelName
from oxbot.app.models.known import SCRIPTED, Budgets, KnownModel, ModelTable, UnknownFallback
from oxbot.config import Secret

FILE_MAX = 1_000_000
KEY_MAX = 4_096
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class InvalidModelTable(OxbotError):
    """The table of models cannot be read or means nothing; the text says where, and never a value."""


class ModelKeyMissing(OxbotError):
    """A model's key is not where its table says; the operator must put it there."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    models: dict[str, dict[str, object]] = {}
    budgets: Budgets = Budgets()


def read_model_table(path: Path | None) -> ModelTable:
    """The models of the file, and ``scripted``; that one alone without a file. Raises ``InvalidModelTable``."""
    if path is None:
        return ModelTable()
    return parse_model_table(_text(path), path)


def parse_model_table(text: str, path: Path) -> ModelTable:
    """The models that the text defines. Raises ``InvalidModelTable``, which names the file."""
    try:
        # Decimals, so that a price is what is written and not the nearest float.
        table = msgspec.convert(tomllib.loads(text, parse_float=Decimal), _Table)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidModelTable(f"{path} is no TOML: {_place(str(error))}") from None
    except msgspec.ValidationError as error:
        raise InvalidModelTable(f"{path}: {error}") from None
    models = [_model(name, given, path) for name, given in table.models.items()]
    try:
        return ModelTable(models, table.budgets)
    except UnknownFallback as error:
        raise InvalidModelTable(f"{path}: {error}") from None


class ModelKeys:
    """Finds the keys of a table's models, each time anew, so that a key can be replaced while we run."""

    def __init__(self, table: ModelTable, environment: Mapping[str, str]) -> None:
        self._table = table
        self._environment = environment

    def key(self, name: ModelName) -> Secret | None:
        """The key of a model, None for one without. Raises ``ModelKeyMissing``, whose text names the place only."""
        model = self._table.get(name)
        if model is None or not model.keyed:
            return None
        if model.key_env is not None:
            return _secret(self._environment.get(model.key_env, ""), f"the environment variable {model.key_env}")
        path = Path(model.key_file or "").expanduser()
        try:
            if stat.S_IMODE(path.stat().st_mode) & _OTHERS:
                raise ModelKeyMissing(f"others can read {path}, the key of model {name}: chmod 600 {path}")
            with path.open(encoding="utf-8") as file:
                return _secret(file.read(KEY_MAX + 1), str(path))
        except OSError as error:
            raise ModelKeyMissing(f"cannot read {path}, the key of model {name}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ModelKeyMissing(f"{path}, the key of model {name}, is no text") from None

    def fault(self, name: ModelName) -> str | None:
        """Why a model cannot be called with its key, if it cannot."""
        try:
            self.key(name)
        except ModelKeyMissing as missing:
            return str(missing)
        return None


def _secret(text: str, place: str) -> Secret:
    key = text.strip()
    if not key:
        raise ModelKeyMissing(f"{place} holds no key")
    if len(key) > KEY_MAX or not key.isascii() or not key.isprintable() or " " in key:
        raise ModelKeyMissing(f"what {place} holds is no key: one line of printable characters is")
    return Secret(key)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_MAX + 1)
    except OSError as error:
        raise InvalidModelTable(f"cannot read the table of models {path}: {error.strerror}") from error
    if len(content) > FILE_MAX:
        raise InvalidModelTable(f"{path} is larger than {FILE_MAX} bytes; that is no table of models")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InvalidModelTable(f"{path} is no UTF-8 text") from None


def _model(name: str, given: Mapping[str, object], path: Path) -> KnownModel:
    if name == SCRIPTED:
        raise InvalidModelTable(f"{path}: models.{SCRIPTED} is oxbot's own; take another name")
    if "name" in given:
        raise InvalidModelTable(f"{path}: models.{printable_name(name)}: its name is what follows models.")
    try:
        return msgspec.convert({"name": name, **given}, KnownModel)
    except msgspec.ValidationError as error:
        raise InvalidModelTable(f"{path}: models.{printable_name(name)}: {error}") from None


def printable_name(name: str) -> str:
    """A name out of a file, fit for a line."""
    return re.sub(r"[^A-Za-z0-9._-]", "?", name)[:64]


def _place(message: str) -> str:
    """Where the TOML ends to be TOML; what stands there may be a key that was pasted into it."""
    found = re.search(r"\(at .*\)$", message)
    return found[0] if found else "it is too deeply nested or cut off"
