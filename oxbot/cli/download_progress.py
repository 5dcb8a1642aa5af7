"""The bars that a person sees while candles are downloaded, on standard error."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from events.identifiers import Symbol


class DownloadProgress(AbstractContextManager["DownloadProgress"]):
    """One bar for each symbol, over the same range of open times."""

    def __init__(self, symbols: Sequence[Symbol], begins_at: datetime, ends_before: datetime) -> None:
        self._begins_at = begins_at
        self._length = (ends_before - begins_at).total_seconds()
        self._progress = Progress(
            TextColumn("{task.description} {task.fields[at]}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._bars = {symbol: self._progress.add_task(symbol, total=1.0, at="") for symbol in symbols}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def of(self, symbol: Symbol) -> Callable[[datetime], None]:
        """What to tell up to where the symbol's candles are here."""

        def moved(moment: datetime) -> None:
            share = (moment - self._begins_at).total_seconds() / self._length if self._length else 1.0
            self._progress.update(self._bars[symbol], completed=min(1.0, share), at=f"{moment:%Y-%m-%d %H:%M}")

        return moved
