"""How the views write money: exact decimals as text, without exponent."""

from typing import Annotated

import msgspec

Amount = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
