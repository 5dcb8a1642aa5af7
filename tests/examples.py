"""How many examples a slow property is tried on: a few in every check, and twenty times as many in a soak."""

from hypothesis import settings

SOAK = 20


def some(examples: int) -> settings:
    """So many, or those of a soak."""
    soaking = settings.get_current_profile_name() == "random"
    return settings(max_examples=examples * SOAK if soaking else examples)
