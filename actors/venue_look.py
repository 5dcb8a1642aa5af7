"""The actor that asks a venue once what it trades, so that nobody else has to load what it takes to reach it."""

import msgspec
import ray

from actors.calls import answer, spawn
from actors.options import passing
from oxbot.app.live_market_source import SourceRefused, SourceUnavailable
from oxbot.app.venue import VenueUnfit
from oxbot.wiring.market import VenueMarket
from oxbot.wiring.venue_choice import VenueTold, ask

SECONDS = 120.0


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue told, or why it told nothing; ``final``: it will not help to ask again."""

    told: VenueTold | None = None
    refusal: str = ""
    final: bool = False


class VenueLookActor:
    """A process for one question."""

    async def look(self, plan: bytes) -> bytes:
        """What the venue of the plan says of its symbols, and its time."""
        try:
            looked = Looked(told=await ask(msgspec.msgpack.decode(plan, type=VenueMarket)))
        except (SourceRefused, VenueUnfit) as error:
            looked = Looked(refusal=str(error), final=True)
        except SourceUnavailable as error:
            looked = Looked(refusal=str(error))
        return msgspec.msgpack.encode(looked)


async def look_at(plan: VenueMarket) -> Looked:
    """Ask in a process that ends with the answer. Raises ``ActorUnavailable``."""
    actor = spawn(VenueLookActor, passing())
    try:
        reply: ray.ObjectRef[bytes] = actor.look.remote(msgspec.msgpack.encode(plan))
        return msgspec.msgpack.decode(await answer(reply, of="the venue", seconds=SECONDS), type=Looked)
    finally:
        ray.kill(actor)
