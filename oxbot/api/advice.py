"""What a bot asked models and was told, and what that cost it."""

from oxbot.api.operations import Operation
from oxbot.api.paging import Page
from oxbot.api.portfolios import history_operation
from oxbot.views.advice_rows import AdviceRow, SpendingRow

OPERATIONS: tuple[Operation, ...] = (
    history_operation(AdviceRow, Page[AdviceRow], "What a bot asked models and what came of it, newest first."),
    history_operation(
        SpendingRow, Page[SpendingRow], "A bot's share of what models cost, by day and model, newest first."
    ),
)
