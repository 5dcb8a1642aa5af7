"""Distributions with strategies, as pip leaves them: a module, and metadata that names its entry points."""

from pathlib import Path

SLEEPER = '''
from decimal import Decimal


class Sleeper:
    """Sleeps."""

    name = "sleeper"
    version = 3
    window = 1
    size_fraction_max = Decimal("0.1")

    def parameters(self, given):
        return ()

    def bind(self, parameters):
        return self

    def observe(self, window, state):
        return None


SLEEPER = Sleeper()
NOTHING = object()
'''
"""A strategy that never does anything."""

NIGHTMARE = SLEEPER.replace("return None", "raise ValueError('a bad dream')")
"""One that fails at every candle."""


def install(folder: Path, module: str, points: str, *, source: str = SLEEPER) -> None:
    """Put the distribution ``module`` 1.2 into a folder of the import path; ``points`` are lines of entry points."""
    (folder / f"{module}.py").write_text(source)
    metadata = folder / f"{module}-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(f"[oxbot.strategies]\n{points}\n")
