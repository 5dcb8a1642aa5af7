"""Every projection there is, by name."""

from typing import TypeAlias

from oxbot.views.bot_views import BOTS, BotBooks
from oxbot.views.fold import Fold, Projection
from oxbot.views.rows import ViewName
from oxbot.views.system_views import SYSTEM, NoBooks
from oxbot.views.user_views import USERS, AccountBooks

AnyProjection: TypeAlias = Projection[BotBooks] | Projection[AccountBooks] | Projection[NoBooks]
AnyFold: TypeAlias = Fold[BotBooks] | Fold[AccountBooks] | Fold[NoBooks]

PROJECTIONS: tuple[AnyProjection, ...] = (BOTS, USERS, SYSTEM)

VIEWS_OF: dict[str, tuple[ViewName, ...]] = {projection.name: projection.views for projection in PROJECTIONS}
"""Which views a projection keeps."""

PROJECTION_OF: dict[ViewName, str] = {view: projection.name for projection in PROJECTIONS for view in projection.views}
"""Which projection keeps a view."""
