"""Every projection there is, by name."""

from typing import TypeAlias

from oxbot.views.advice_rows import AdviceRow, ArenaRow, ModelDayRow, ModelRow, SpendingRow
from oxbot.views.alert_rows import AlertRow
from oxbot.views.alert_views import ALERTS, AlertBooks
from oxbot.views.bot_views import BOTS, BotBooks
from oxbot.views.fold import Fold, Projection
from oxbot.views.model_views import MODELS, ModelBooks
from oxbot.views.rows import (
    AccountRow,
    BotRow,
    DecisionRow,
    HoldingRow,
    OrderRow,
    OwnedRow,
    PortfolioRow,
    PositionRow,
    RebuildRow,
    Row,
    SignedCheckpointRow,
    SkipRow,
    TradeRow,
    ViewName,
)
from oxbot.views.system_views import SYSTEM, NoBooks
from oxbot.views.user_views import USERS, AccountBooks

AnyProjection: TypeAlias = (
    Projection[BotBooks]
    | Projection[AccountBooks]
    | Projection[NoBooks]
    | Projection[ModelBooks]
    | Projection[AlertBooks]
)
AnyFold: TypeAlias = Fold[BotBooks] | Fold[AccountBooks] | Fold[NoBooks] | Fold[ModelBooks] | Fold[AlertBooks]

PROJECTIONS: tuple[AnyProjection, ...] = (BOTS, USERS, SYSTEM, MODELS, ALERTS)

VIEWS_OF: dict[str, tuple[ViewName, ...]] = {projection.name: projection.views for projection in PROJECTIONS}
"""Which views a projection keeps."""

PROJECTION_OF: dict[ViewName, str] = {view: projection.name for projection in PROJECTIONS for view in projection.views}
"""Which projection keeps a view."""

_KINDS: tuple[type[Row], ...] = (
    BotRow,
    PortfolioRow,
    PositionRow,
    OrderRow,
    TradeRow,
    DecisionRow,
    HoldingRow,
    AdviceRow,
    SpendingRow,
    ArenaRow,
    OwnedRow,
    AccountRow,
    SignedCheckpointRow,
    RebuildRow,
    SkipRow,
    ModelRow,
    ModelDayRow,
    AlertRow,
)
ROW_TYPES: dict[ViewName, type[Row]] = {kind.view: kind for kind in _KINDS}
"""What each view's rows are."""
