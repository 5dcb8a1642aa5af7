"""One transport for all models of a table: those in our own code, and those that litellm speaks to."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from oxbot.adapters.litellm_transport import open_litellm
from oxbot.adapters.model_table import ModelKeys
from oxbot.adapters.scripted_transport import PROVIDER, ScriptedTransport
from oxbot.app.clock import Clock
from oxbot.app.models.known import ModelTable
from oxbot.app.models.transport import Completion, ModelCall, ModelTransport


class TableTransport:
    """A ``ModelTransport`` that hands each call to the one that speaks to its provider."""

    def __init__(self, scripted: ModelTransport, litellm: ModelTransport) -> None:
        self._scripted = scripted
        self._litellm = litellm

    async def complete(self, call: ModelCall) -> Completion:
        """Make exactly one request. Raises ``CallFailed``."""
        ours = call.provider_model.startswith(f"{PROVIDER}/")
        return await (self._scripted if ours else self._litellm).complete(call)


@asynccontextmanager
async def open_transport(
    table: ModelTable, environment: Mapping[str, str], *, clock: Clock
) -> AsyncIterator[ModelTransport]:
    """The transport; where all models are our own, litellm is not imported. Raises ``ModelLibraryMissing``."""
    scripted = ScriptedTransport()
    if all(model.scripted for model in table.models.values()):
        yield scripted
        return
    async with open_litellm(table, ModelKeys(table, environment), clock=clock) as litellm:
        yield TableTransport(scripted, litellm)
