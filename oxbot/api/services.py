"""What the routes are given to work with; whoever starts the API builds it and closes it."""

from typing import NamedTuple

from oxbot.api.reads import Reads
from oxbot.api.sign_in_limit import SignInLimit
from oxbot.api.tokens import Tokens
from oxbot.app.access import BotOwners
from oxbot.app.account_report import AccountReader
from oxbot.app.accounts import Accounts
from oxbot.app.api_tokens import ApiTokens
from oxbot.app.arena import ArenaReader
from oxbot.app.audit_proof import Prover
from oxbot.app.bots import BotCommands
from oxbot.app.checkpoints import CheckpointStore
from oxbot.app.equity import EquityReader
from oxbot.app.failing import FailingBots
from oxbot.app.idempotency import AnswerSeals, IdempotencyStore
from oxbot.app.live_stream import LiveStream
from oxbot.app.privacy import Privacy
from oxbot.app.projections import Projections
from oxbot.app.readiness import Readiness
from oxbot.app.revocations import Revocations
from oxbot.app.security_log import SecurityLog
from oxbot.app.sessions import Sessions
from oxbot.app.venue_accounts import VenueAccounts
from oxbot.app.views import ViewReader
from oxbot.app.vitals import VitalReader
from oxbot.core.strategy import Strategies


class Services(NamedTuple):
    """Everything that a request can reach."""

    views: ViewReader
    reads: Reads
    owners: BotOwners
    projections: Projections
    bots: BotCommands
    strategies: Strategies
    failing: FailingBots
    equity: EquityReader
    arena: ArenaReader
    accounts: Accounts
    venue_accounts: VenueAccounts
    account_reader: AccountReader
    tokens: Tokens
    readiness: Readiness
    checkpoints: CheckpointStore
    prover: Prover
    sign_in_limit: SignInLimit
    sessions: Sessions
    api_tokens: ApiTokens
    revocations: Revocations
    security: SecurityLog
    privacy: Privacy
    idempotency: IdempotencyStore
    answer_seals: AnswerSeals
    vitals: VitalReader
    stream: LiveStream
