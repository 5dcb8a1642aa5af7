"""Lets a process load one exchange of ccxt without the two hundred others that its packages load with it."""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

ROOT = "ccxt"
PACKAGES = (ROOT, "ccxt.async_support", "ccxt.pro")
SOURCES = ("ccxt.base.errors", "ccxt.base.exchange")
"""Where ccxt's own modules find what they ask of its root, besides exchanges."""


class LeanPackage(ModuleType):
    """A package of ccxt that loads what it is asked for when it is asked; its own ``__init__`` is never run."""

    def __getattr__(self, name: str) -> object:
        """An exchange's class, or what all of them need. Raises ``AttributeError`` for anything else."""
        if name.startswith("_"):
            raise AttributeError(name)
        for source in map(import_module, SOURCES if self.__name__ == ROOT else ()):
            if hasattr(source, name):
                return getattr(source, name)
        whole = f"{self.__name__}.{name}"
        try:
            import_module(whole)
        except ModuleNotFoundError as missing:
            if missing.name != whole:
                raise
            raise AttributeError(f"{self.__name__} has no {name}") from missing
        return vars(self)[name]

    def __setattr__(self, name: str, value: object) -> None:
        """Keep an exchange's class under its name, where the machinery of imports would keep its module."""
        super().__setattr__(name, vars(value).get(name, value) if isinstance(value, ModuleType) else value)


def lean() -> None:
    """From now on ccxt loads exchanges one by one; not if it is loaded already. Call it before anything of it."""
    found = None if ROOT in sys.modules else find_spec(ROOT)
    if found is None or not found.submodule_search_locations:
        return
    folder = Path(found.submodule_search_locations[0])
    for name in PACKAGES:
        package = LeanPackage(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
        package.__spec__ = ModuleSpec(name, loader=None, is_package=True)
        package.__spec__.submodule_search_locations = list(package.__path__)
        sys.modules[name] = package
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, package)
