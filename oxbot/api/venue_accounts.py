"""Accounts at venues, and whose bots may trade there: administrators' business, but for who may name which."""

import msgspec
from starlette.responses import Response

from events.account import KillPolicy
from events.identifiers import HOUSE, AccountName, OwnerId, VenueName
from events.values import Timestamp
from oxbot.api.bodies import Nothing, answer
from oxbot.api.bots import BotStanding, Reason, ReasonText, recorded, told
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.problems import Problem
from oxbot.app.account_report import AccountDetails, AccountStanding, OfferedAccount
from oxbot.app.venue_accounts import ApiKeys
from oxbot.core.account import UserId
from oxbot.core.venue_account import OpenAccount

PATH = f"{PREFIX}/venue-accounts"
OFFERED_PATH = f"{PREFIX}/offered-accounts"


class NewAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account to be made known; ``rest`` and ``ws`` only for a local exchange, or for the venue's own demo."""

    account: str
    venue: str
    demo: bool = False
    rest: str = ""
    ws: str = ""


class ArmingWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Until when entries may pass, 30 days ahead at most."""

    until: Timestamp


class KillWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the kill switch is to do: freeze cancels what would enter, close also closes all positions; and why."""

    policy: KillPolicy
    reason: ReasonText = ""


class GrantWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The user whose bots may name the account; empty for no user's."""

    owner: OwnerId


class AccountList(msgspec.Struct, frozen=True, kw_only=True):
    """Every account, in order of name."""

    items: list[AccountStanding]


class OfferedAccounts(msgspec.Struct, frozen=True, kw_only=True):
    """Every account that a bot may name which the caller creates, in order of name."""

    items: list[OfferedAccount]


async def list_offered_accounts(call: Call[Nothing, Nothing]) -> Response:
    """Those that creating a bot would take; an administrator may name any."""
    user = call.signed_in
    granted_to = None if user.role == "admin" else OwnerId(user.user_id)
    found = await call.services.account_reader.offered(call.services.bots.market.venue, granted_to=granted_to)
    return answer(OfferedAccounts(items=found))


async def list_venue_accounts(call: Call[Nothing, Nothing]) -> Response:
    """All of them."""
    return answer(AccountList(items=await call.services.account_reader.all()))


async def show_venue_account(call: Call[Nothing, Nothing]) -> Response:
    """One, with what was found out about it."""
    return answer(await call.services.account_reader.show(call.account))


async def open_venue_account(call: Call[Nothing, NewAccount]) -> Response:
    """Make it known."""
    given = call.body
    account = AccountName(given.account)
    wanted = OpenAccount(account, VenueName(given.venue), given.demo, given.rest, given.ws)
    await call.services.venue_accounts.open(wanted, by=call.actor)
    return await _standing(call, account, 201, {"Location": f"{PATH}/{account}"})


async def set_venue_account_keys(call: Call[Nothing, ApiKeys]) -> Response:
    """Store its keys; they are never answered with."""
    await call.services.venue_accounts.set_keys(call.account, call.body, by=call.actor)
    return await _standing(call, call.account)


async def grant_venue_account(call: Call[Nothing, GrantWanted]) -> Response:
    """Let a user's bots name it."""
    owner = call.body.owner
    if owner != HOUSE and await call.services.accounts.find(UserId(owner)) is None:
        raise Problem(422, "body: there is no user of that id - at `$.owner`")
    await call.services.venue_accounts.grant(call.account, owner, by=call.actor)
    return await _standing(call, call.account)


async def arm_venue_account(call: Call[Nothing, ArmingWanted]) -> Response:
    """Let entries through."""
    await call.services.venue_accounts.arm(call.account, call.body.until, by=call.actor)
    return await _standing(call, call.account)


async def disarm_venue_account(call: Call[Nothing, Reason]) -> Response:
    """Let none through."""
    await call.services.venue_accounts.disarm(call.account, call.body.reason, by=call.actor)
    return await _standing(call, call.account)


async def kill_venue_account(call: Call[Nothing, KillWanted]) -> Response:
    """Throw its kill switch."""
    await call.services.venue_accounts.kill(call.account, call.body.policy, call.body.reason, by=call.actor)
    return await _standing(call, call.account)


async def arm_bot(call: Call[Nothing, ArmingWanted]) -> Response:
    """Let a live bot enter."""
    return await told(call.services, await call.services.bots.arm(call.bot_id, call.body.until, by=call.actor))


async def disarm_bot(call: Call[Nothing, Reason]) -> Response:
    """Let it enter no more."""
    return await told(call.services, await call.services.bots.disarm(call.bot_id, call.body.reason, by=call.actor))


async def _standing(
    call: Call[Nothing, NewAccount] | Call[Nothing, ApiKeys] | Call[Nothing, ArmingWanted] | Call[Nothing, Reason]
    | Call[Nothing, KillWanted] | Call[Nothing, GrantWanted],
    account: AccountName,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    shown = await call.services.account_reader.show(account)
    return await recorded(call.services, answer(shown, status, headers))


OPERATIONS: tuple[Operation, ...] = (
    operation(
        list_offered_accounts,
        name="list_offered_accounts",
        method="GET",
        path=OFFERED_PATH,
        least="trader",
        of="self",
        summary="The accounts at venues that a bot may name which the caller creates; one that names none is on paper.",
        query=Nothing,
        body=Nothing,
        answer=OfferedAccounts,
        problems=(503,),
    ),
    operation(
        list_venue_accounts,
        name="list_venue_accounts",
        method="GET",
        path=PATH,
        least="admin",
        of="account",
        summary="All accounts at venues, and what keeps entries from each.",
        query=Nothing,
        body=Nothing,
        answer=AccountList,
        problems=(503,),
    ),
    operation(
        open_venue_account,
        name="open_venue_account",
        method="POST",
        path=PATH,
        least="admin",
        of="account",
        summary="Make an account known; it trades nothing until it has keys and is armed. Safe to repeat.",
        query=Nothing,
        body=NewAccount,
        answer=AccountDetails,
        status=201,
        problems=(409, 503),
    ),
    operation(
        show_venue_account,
        name="show_venue_account",
        method="GET",
        path=f"{PATH}/{{account}}",
        least="admin",
        of="account",
        summary="An account: what keeps entries from it, strangers, orders in doubt, what its kill switch did.",
        query=Nothing,
        body=Nothing,
        answer=AccountDetails,
        problems=(503,),
    ),
    operation(
        set_venue_account_keys,
        name="set_venue_account_keys",
        method="PUT",
        path=f"{PATH}/{{account}}/keys",
        least="admin",
        of="account",
        summary="Store or replace the account's API key, encrypted. It is never answered with; its fingerprint is.",
        query=Nothing,
        body=ApiKeys,
        answer=AccountDetails,
        problems=(503,),
    ),
    operation(
        grant_venue_account,
        name="grant_venue_account",
        method="POST",
        path=f"{PATH}/{{account}}/grant",
        least="admin",
        of="account",
        summary="Let one user's bots name the account, and no other user's. Bots that trade there go on.",
        query=Nothing,
        body=GrantWanted,
        answer=AccountDetails,
        problems=(503,),
    ),
    operation(
        arm_venue_account,
        name="arm_venue_account",
        method="POST",
        path=f"{PATH}/{{account}}/arm",
        least="admin",
        of="account",
        summary="Let entries through to the account until then.",
        query=Nothing,
        body=ArmingWanted,
        answer=AccountDetails,
        problems=(409, 503),
    ),
    operation(
        disarm_venue_account,
        name="disarm_venue_account",
        method="POST",
        path=f"{PATH}/{{account}}/disarm",
        least="admin",
        of="account",
        summary="Let no entry through any more; exits and cancels go on.",
        query=Nothing,
        body=Reason,
        body_required=False,
        answer=AccountDetails,
        problems=(503,),
    ),
    operation(
        kill_venue_account,
        name="kill_venue_account",
        method="POST",
        path=f"{PATH}/{{account}}/kill",
        least="admin",
        of="account",
        summary="Throw the account's kill switch: it is disarmed at once; what came of the rest is shown with it.",
        query=Nothing,
        body=KillWanted,
        answer=AccountDetails,
        problems=(503,),
    ),
    operation(
        arm_bot,
        name="arm_bot",
        method="POST",
        path=f"{PREFIX}/bots/{{bot_id}}/arm",
        least="admin",
        of="bot",
        summary="Let a bot with an account enter with real money until then.",
        query=Nothing,
        body=ArmingWanted,
        answer=BotStanding,
        problems=(409, 503),
    ),
    operation(
        disarm_bot,
        name="disarm_bot",
        method="POST",
        path=f"{PREFIX}/bots/{{bot_id}}/disarm",
        least="admin",
        of="bot",
        summary="Let a bot with an account enter nothing more; its exits go on.",
        query=Nothing,
        body=Reason,
        body_required=False,
        answer=BotStanding,
        problems=(409, 503),
    ),
)
