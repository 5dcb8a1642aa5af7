"""What is known of each venue: its limits, its demo mode, its client ids, its deadlines and what its codes mean."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from oxbot.adapters.rate_limiter import Limit
from oxbot.app.venue import VenueUnfit

Deadline = Literal["expTime", "recvWindow", "recv_window", "deadline"]


class VenueProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table.

    ``deadline``: by which field of a request the venue itself refuses it when it comes late: OKX by a time in a header,
    Binance and Bybit by a number of milliseconds after the request's own time, Kraken by a time in the order.
    ``refusals``: the codes that say that nothing was done. What is not among them says nothing: the order may exist.
    ``passing``: those of them that are no verdict on what was asked for: too often, too late.
    ``duplicates``: the first order with that client id exists. ``missing``: the order that was asked for does not.
    ``account_refusals``: a no to everything, which the operator must see to; ``explained``: what it means.
    ``setting_refusals``: a setting, such as a leverage, stays as it was.
    ``unfit``: why no live order may go there.
    """

    venue: str
    ccxt_id: str
    demo_switch: Literal["set_sandbox_mode", "enable_demo_trading"] | None
    client_id_characters_max: int
    deadline: Deadline
    ccxt_options: Mapping[str, object] = {}
    refusals: frozenset[str] = frozenset()
    passing: frozenset[str] = frozenset()
    duplicates: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    account_refusals: frozenset[str] = frozenset()
    setting_refusals: frozenset[str] = frozenset()
    explained: Mapping[str, str] = {}
    limits: Mapping[str, Limit] = {}
    unfit: str = ""


def profile_of(venue: str) -> VenueProfile:
    """The venue's row. Raises ``VenueUnfit`` for one that is not in the table."""
    found = _PROFILES.get(venue)
    if found is None:
        raise VenueUnfit(f"{venue} is not among the venues that are known well enough: {', '.join(sorted(_PROFILES))}")
    return found


def codes(ranges: str) -> frozenset[str]:
    """The codes of a text such as "50000 50014-50016"."""
    found: set[str] = set()
    for part in ranges.split():
        first, _, last = part.partition("-")
        found.update(str(number) for number in range(int(first), int(last or first) + 1))
    return frozenset(found)


def _negative(ranges: str) -> frozenset[str]:
    return frozenset(f"-{code}" for code in codes(ranges))


# OKX's table of error codes, less those that leave it open what happened: 50001, 50004, 50013, 50026, 50037, 51054,
# 51149 and 51412; and less the duplicates.
_OKX_ACCOUNT = codes("50007-50010 50012 50027-50030 50035 50041 50059-50060 50100-50101 50103-50121 51024")
_OKX_DUPLICATES = codes("50042 50071 51011 51016 51065 51068")
_OKX_MISSING = codes("51603")
# Too many requests, of the account or of its orders; a request that was dated or had its expTime too far back.
_OKX_PASSING = codes("50011 50036 50061 50102")
_OKX_REFUSED = codes(
    "50000 50002 50005-50006 50011 50014-50025 50032-50033 50036 50038-50040 50046 50051-50053 50061-50062 50067 50072"
    " 50075 50102 50122 51000-51010 51012-51015 51017-51053 51056-51059 51063 51066 51069-51070 51076-51100 51101-51144"
    " 51147-51148 51150 51152-51155 51159 51164 51169-51171 51174-51182 51185-51187 51196-51197 51201-51207 51209-51214"
    " 51250-51265 51275-51286 51298-51300 51302-51308 51311-51312 51317 51327-51333 51400-51411 51413 51415-51416 51500"
    " 51502-51503 51506-51514 51521-51532 51543 51603 54000 54005-54009 54011-54012 54018-54019 54024-54031 54035-54036"
    " 54039-54049 54070-54073"
)

_OKX_EXPLAINED = {
    "50100": "the API key is frozen",
    "50101": "a key of demo trading is used for real trading, or the other way round",
    "50102": "the clock of this machine is more than 30 s off",
    "50105": "the password of the API key is wrong",
    "50110": "the API key does not allow this machine's address",
    "50111": "there is no such API key",
    "50113": "the secret of the API key is wrong",
    "50119": "there is no such API key",
    "50120": "the API key may not do this; it needs the right to trade",
}

_OKX_LIMITS = {
    "orders": Limit(1000, 2),
    "place": Limit(60, 2, per_symbol=True),
    "amend": Limit(60, 2, per_symbol=True),
    "cancel": Limit(60, 2, per_symbol=True),
    "order": Limit(60, 2, per_symbol=True),
    "orders_pending": Limit(60, 2),
    "orders_history": Limit(40, 2),
    "fills": Limit(60, 2),
    "fills_history": Limit(10, 2),
    "place_algo": Limit(20, 2, per_symbol=True),
    "amend_algo": Limit(20, 2, per_symbol=True),
    "cancel_algo": Limit(20, 2, per_symbol=True),
    "order_algo": Limit(20, 2),
    "algos_pending": Limit(20, 2),
    "algos_history": Limit(20, 2),
    "balance": Limit(10, 2),
    "positions": Limit(10, 2),
    "config": Limit(5, 2),
    "leverage": Limit(20, 2),
    "set_leverage": Limit(20, 2),
    "bills": Limit(5, 1),
    "bills_archive": Limit(5, 2),
    "cancel_all_after": Limit(1, 1),
    "time": Limit(10, 2),
    "price_limit": Limit(20, 2),
    "instruments": Limit(20, 2),
}

_UNPROVEN = "its orders have not been tried against its own wire; market data only"

_PROFILES = {
    profile.venue: profile
    for profile in (
        VenueProfile(
            venue="okx",
            ccxt_id="okx",
            demo_switch="set_sandbox_mode",
            client_id_characters_max=32,
            deadline="expTime",
            ccxt_options={"fetchMarkets": {"types": ["spot", "swap"]}},
            refusals=_OKX_REFUSED | _OKX_ACCOUNT,
            passing=_OKX_PASSING,
            duplicates=_OKX_DUPLICATES,
            missing=_OKX_MISSING,
            account_refusals=_OKX_ACCOUNT | codes("50102"),
            setting_refusals=(_OKX_REFUSED - _OKX_PASSING) | codes("59000-59007 59101-59140 59200 59300-59307"),
            explained=_OKX_EXPLAINED,
            limits=_OKX_LIMITS,
        ),
        VenueProfile(
            venue="binance",
            ccxt_id="binance",
            demo_switch="enable_demo_trading",
            client_id_characters_max=36,
            deadline="recvWindow",
            ccxt_options={"fetchMarkets": {"types": ["spot", "linear"]}},
            refusals=_negative(
                "1002-1003 1013-1015 1020-1022 1100-1106 1111-1112 1114-1117 1121 1128 1130 2011 2013-2015"
            )
            | _negative("2018-2022 4001 4003-4005 4014 4023 4131 4164"),
            missing=frozenset({"-2013"}),
            account_refusals=frozenset({"-1002", "-1021", "-1022", "-2014", "-2015"}),
            unfit=_UNPROVEN,
        ),
        VenueProfile(
            venue="bybit",
            ccxt_id="bybit",
            demo_switch="enable_demo_trading",
            client_id_characters_max=36,
            deadline="recv_window",
            ccxt_options={"fetchMarkets": {"types": ["spot", "linear"]}},
            refusals=codes("10001-10006 10009-10010 10017-10018 10020 110001 110003-110005 110007 110012 110017 110020")
            | codes("110043 110073 110094 170121 170124 170130-170137 170140 170213"),
            duplicates=codes("110072 170141"),
            missing=codes("110001 170213"),
            account_refusals=codes("10002-10005 10009-10010"),
            unfit=_UNPROVEN,
        ),
        VenueProfile(
            venue="kraken",
            ccxt_id="kraken",
            demo_switch=None,
            client_id_characters_max=36,
            deadline="deadline",
            refusals=frozenset({"EOrder:Insufficient funds", "EOrder:Order minimum not met", "EOrder:Invalid price"}),
            missing=frozenset({"EOrder:Unknown order"}),
            account_refusals=frozenset({"EAPI:Invalid key", "EAPI:Invalid signature", "EGeneral:Permission denied"}),
            unfit="its client ids are unique among open orders only, so no lookup ends every doubt; market data only",
        ),
    )
}
