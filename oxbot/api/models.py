"""Which models were called, why one is not asked, and what calls cost by day."""

import re

from starlette.responses import Response

from oxbot.api.bodies import Nothing
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.paging import HistoryQuery, Page, PageQuery, page, read_cursor
from oxbot.api.problems import Problem
from oxbot.api.reading import PROBLEMS, from_views
from oxbot.app.models.known import NAME_PATTERN
from oxbot.app.views import Snapshot
from oxbot.views.advice_rows import ModelDayRow, ModelRow
from oxbot.views.model_views import MODELS

_NAME = re.compile(NAME_PATTERN)


async def list_models(call: Call[PageQuery, Nothing], views: Snapshot) -> Response:
    """A page of the models that were ever called or closed, in order of name."""
    after = read_cursor("models", call.query.cursor)
    rows = await views.across("models", after_bot=after, limit=call.query.limit + 1)
    return page([(row.owner, row.body) for row in rows], limit=call.query.limit, listing="models")


async def list_model_days(call: Call[HistoryQuery, Nothing], views: Snapshot) -> Response:
    """A page of a model's days."""
    query, model = call.query, call.request.path_params["model"]
    if _NAME.fullmatch(model) is None or await views.row("models", model) is None:
        raise Problem(404, "no such model was ever called")
    listing = f"model_days {model} {query.order}"
    after = read_cursor(listing, query.cursor)
    descending = query.order == "desc"
    rows = await views.rows("model_days", model, after_key=after, limit=query.limit + 1, descending=descending)
    return page([(row.key, row.body) for row in rows], limit=query.limit, listing=listing)


OPERATIONS: tuple[Operation, ...] = (
    operation(
        from_views(list_models, MODELS.name),
        name="list_models",
        method="GET",
        path=f"{PREFIX}/models",
        least="admin",
        of="installation",
        summary="Every model that was called: how often, for how much, and why it is not asked if it is not.",
        query=PageQuery,
        body=Nothing,
        answer=Page[ModelRow],
        problems=PROBLEMS,
    ),
    operation(
        from_views(list_model_days, MODELS.name),
        name="list_model_days",
        method="GET",
        path=f"{PREFIX}/models/{{model}}/days",
        least="admin",
        of="installation",
        summary="The calls of a model by day: how they ended, what they used and cost, newest first.",
        query=HistoryQuery,
        body=Nothing,
        answer=Page[ModelDayRow],
        problems=PROBLEMS,
    ),
)
