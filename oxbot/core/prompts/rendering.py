"""The templates: what is said to a model, rendered from a snapshot and nothing else; the static part comes first."""

from functools import cache

from oxbot.core.advice_snapshot import TRADER, Snapshot, UnknownTemplate, schema_name
from oxbot.core.prompts.message import Message
from oxbot.core.prompts.sections import account_lines, market_lines
from oxbot.core.prompts.words import ACCOUNT_SECTIONS, ACTIONS, DUTY, MARKET_SECTIONS, NUMBERS, answer_form


def render(template: str, version: int, shown: Snapshot) -> tuple[Message, ...]:
    """What is said to the model. Raises ``UnknownTemplate``, also for a snapshot that was made for another one."""
    schema = schema_name(template, version)
    if shown.schema != schema:
        raise UnknownTemplate(f"a snapshot for {shown.schema} cannot be rendered as {schema}")
    lines = list(market_lines(shown))
    if shown.account is not None:
        lines += ["", *account_lines(shown.account)]
    lines += ["", "Give your opinions now, as the one JSON object that was described."]
    return (Message("system", static_part(template, version)), Message("user", "\n".join(lines)))


@cache
def static_part(template: str, version: int) -> str:
    """What is the same in every prompt of the template. Raises ``UnknownTemplate``."""
    schema = schema_name(template, version)
    sections = [DUTY, NUMBERS, MARKET_SECTIONS]
    if template == TRADER:
        sections.append(ACCOUNT_SECTIONS)
    return "\n\n".join([*sections, ACTIONS, answer_form(schema)])
