"""A process that opens the transport and makes one call, and prints whom it spoke to while it did so."""

import asyncio
import json
import os
import sys
from typing import Any

from events.identifiers import ModelName
from oxbot.adapters.litellm_transport import open_litellm
from oxbot.adapters.model_table import ModelKeys
from oxbot.app.clock import SystemClock
from oxbot.app.models.known import KnownModel, ModelTable
from oxbot.app.models.transport import Message, ModelCall

SPEAKING = {"socket.connect": 1, "socket.sendto": 1, "socket.getaddrinfo": 0, "socket.gethostbyname": 0}


async def probe(base_url: str) -> dict[str, Any]:
    spoken: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        place = SPEAKING.get(event)
        if place is not None:
            told = arguments[place]
            spoken.append(":".join(map(str, told[:2])) if isinstance(told, tuple) else str(told))

    sys.addaudithook(watch)
    name = ModelName("open")
    table = ModelTable([KnownModel(name=name, provider_model="openai/any", base_url=base_url)])
    async with open_litellm(table, ModelKeys(table, os.environ), clock=SystemClock()) as transport:
        opened = list(spoken)
        await transport.complete(
            ModelCall(
                model=name,
                provider_model="openai/any",
                base_url=base_url,
                messages=(Message("user", "What now?"),),
                schema='{"type": "object"}',
                output_tokens=10,
                timeout_seconds=60.0,
            )
        )
    host = base_url.removeprefix("http://").removesuffix("/v1")
    called = sorted({address for address in spoken if address != host.partition(":")[0]})
    return {"opened": opened, "called": called, "key_variable": os.environ.get("TEST_KEY")}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(probe(sys.argv[1]))))
