"""The kinds of process that can be killed on purpose, to see the fleet recover. This module does not import Ray."""

from typing import Literal

Victim = Literal["bot", "projector", "market", "supervisor", "models"]
