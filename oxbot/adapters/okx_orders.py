"""Orders at OKX: sent once each, looked up until it is certain what became of them."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import structlog

from events.identifiers import Symbol
from oxbot.adapters import okx_requests, okx_rows
from oxbot.adapters.ccxt_wire import NOT_SENT, Call, CcxtWire, Late, Missing, Rows
from oxbot.adapters.okx_markets import OkxMarkets, Steps
from oxbot.adapters.okx_rows import AlgoRow, OrderRow
from oxbot.adapters.rate_limiter import Priority
from oxbot.app.clock import Clock
from oxbot.app.venue import (
    Refused,
    Sent,
    Taken,
    Unknown,
    VenueAmendment,
    VenueOrder,
    VenueOrderRef,
    VenueRefused,
    VenueRequest,
    VenueUnavailable,
    VenueUnfit,
)

PAGE = 100
ALGO_KINDS = ("conditional,oco", "move_order_stop", "trigger")
STRANGERS_KINDS = ("iceberg", "twap", "chase")
"""Kinds that are never ours; not every account can be asked for all of them."""

ALGO_ENDS = ("effective", "canceled", "order_failed")
CHILDREN_MAX = 10_000

logger = structlog.get_logger(__name__)


class Parent(NamedTuple):
    """Whose an order without a client id of its own is; of a ``liquidation``, OKX's."""

    client_id: str
    liquidation: bool = False


class OkxOrders:
    """The order half of an account at OKX.

    Plain orders and amendments carry OKX's ``expTime``. Orders at a trigger do not know that header, so they are dated
    such that OKX's window for a request's timestamp ends when they expire.
    """

    def __init__(self, wire: CcxtWire, markets: OkxMarkets, *, clock: Clock) -> None:
        self._wire = wire
        self._markets = markets
        self._clock = clock
        self._parents: OrderedDict[str, Parent] = OrderedDict()

    async def place(self, request: VenueRequest) -> Sent:
        """See ``Venue.place``."""
        steps = self._steps(request.symbol)
        if isinstance(steps, Refused):
            return steps
        prices = (request.limit_price, request.trigger_price, request.target_price, request.activation_price)
        fault = steps.fault(request.quantity, prices)
        if fault is not None:
            return Refused(NOT_SENT, fault)
        priority = Priority.EXIT if request.reduce_only else Priority.ENTRY
        if okx_requests.waits_for_trigger(request):
            body = okx_requests.algo_body(request, steps)
            late = Late(request.expires_at, "timestamp")
            call = Call("private_post_trade_order_algo", body, ("place_algo",), priority, request.symbol, late)
            return self._taken(await self._wire.send(call), "algoId", client_id=request.client_id)
        body = okx_requests.order_body(request, steps)
        late = Late(request.expires_at, "header")
        call = Call("private_post_trade_order", body, ("orders", "place"), priority, request.symbol, late)
        return self._taken(await self._wire.send(call), "ordId", client_id=request.client_id)

    async def amend(self, ref: VenueOrderRef, amendment: VenueAmendment, *, expires_at: datetime) -> Sent:
        """See ``Venue.amend``."""
        steps = self._steps(ref.symbol)
        if isinstance(steps, Refused):
            return steps
        prices = (amendment.limit_price, amendment.trigger_price, amendment.target_price)
        fault = steps.fault(amendment.quantity, prices)
        if fault is not None:
            return Refused(NOT_SENT, fault)
        if ref.at_trigger:
            return await self._amend_algo(ref, amendment, steps, expires_at)
        body = okx_requests.amendment_body(ref, amendment, steps)
        late = Late(expires_at, "header")
        call = Call("private_post_trade_amend_order", body, ("orders", "amend"), Priority.EXIT, ref.symbol, late)
        return self._taken(await self._wire.send(call), "ordId")

    async def cancel(self, ref: VenueOrderRef) -> Sent:
        """See ``Venue.cancel``."""
        steps = self._steps(ref.symbol)
        if isinstance(steps, Refused):
            return steps
        body = okx_requests.named(ref, steps)
        if ref.at_trigger:
            call = Call("private_post_trade_cancel_algos", [body], ("cancel_algo",), Priority.EXIT, ref.symbol)
            return self._taken(await self._wire.send(call), "algoId")
        call = Call("private_post_trade_cancel_order", body, ("cancel",), Priority.EXIT, ref.symbol)
        return self._taken(await self._wire.send(call), "ordId")

    async def lookup(self, ref: VenueOrderRef) -> VenueOrder | None:
        """See ``Venue.lookup``. None only if OKX says so itself and no list of its orders shows one."""
        steps = self._markets.of(ref.symbol)
        if ref.at_trigger:
            algo = await self._algo_row(ref, steps)
            return None if algo is None else await self._algo(algo)
        row = await self._order_row(ref, steps)
        if row is None:
            row = await self._listed(ref, steps)
        return None if row is None else okx_rows.order(row, self._markets)

    async def open_orders(self) -> Sequence[VenueOrder]:
        """See ``Venue.open_orders``."""
        pending = await self.paged("private_get_trade_orders_pending", {}, "orders_pending", "ordId")
        found = [okx_rows.order(row, self._markets) for row in okx_rows.rows_of(OrderRow, pending)]
        for kind in ALGO_KINDS:
            params: dict[str, object] = {"ordType": kind}
            rows = await self.paged("private_get_trade_orders_algo_pending", params, "algos_pending", "algoId")
            found += [okx_rows.algo(row, [], self._markets) for row in okx_rows.rows_of(AlgoRow, rows)]
        for kind in STRANGERS_KINDS:
            found += await self._strangers(kind)
        return found

    async def parent_of(self, instrument_id: str, order_id: str) -> Parent:
        """The client id of the order at a trigger that became this order; "" for an order of nobody here.

        What OKX does not find yet is asked for again the next time.
        """
        if order_id not in self._parents:
            steps = self._markets.named(instrument_id)
            ref = VenueOrderRef(client_id="", symbol=steps.symbol, at_trigger=False, venue_order_id=order_id)
            row = await self._order_row(ref, steps)
            if row is None:
                return Parent("")
            self._remember(order_id, Parent(row.cl_ord_id or row.algo_cl_ord_id, liquidation=row.is_the_venues_own))
        return self._parents[order_id]

    async def paged(
        self, endpoint: str, params: dict[str, object], limit: str, key: str, *, priority: Priority = Priority.SWEEP
    ) -> Rows:
        """Every row of a list that OKX gives newest first, page by page, each row once."""
        found: dict[str, dict[str, object]] = {}
        after: dict[str, object] = {}
        while True:
            call = Call(endpoint, {**params, "limit": str(PAGE), **after}, (limit,), priority)
            page = await self._wire.ask(call)
            if isinstance(page, Missing):
                raise VenueUnavailable(f"okx says that a list does not exist ({page.code})")
            fresh = [row for row in page if str(row.get(key)) not in found]
            found |= {str(row.get(key)): row for row in fresh}
            if len(page) < PAGE:
                return list(found.values())
            if not fresh:
                raise VenueUnavailable("okx gives the same page of a list again and again")
            after = {"after": str(page[-1].get(key))}

    async def _strangers(self, kind: str) -> list[VenueOrder]:
        """The working orders of a kind that is never ours; none where OKX does not answer, which stops nobody."""
        params: dict[str, object] = {"ordType": kind}
        try:
            rows = await self.paged("private_get_trade_orders_algo_pending", params, "algos_pending", "algoId")
        except VenueUnavailable as error:
            logger.warning("strangers_not_looked_for", kind=kind, error=str(error))
            return []
        return [okx_rows.algo(row, [], self._markets) for row in okx_rows.rows_of(AlgoRow, rows)]

    async def _amend_algo(
        self, ref: VenueOrderRef, amendment: VenueAmendment, steps: Steps, expires_at: datetime
    ) -> Sent:
        """Which leg a trigger belongs to only the order itself says, so it is asked for first."""
        try:
            row = await self._algo_row(ref, steps)
        except (VenueUnavailable, VenueRefused) as error:
            return Unknown(str(error))
        if row is None:
            return Refused(NOT_SENT, "okx has no such order")
        if row.ord_type == "move_order_stop":
            return Refused(NOT_SENT, "okx cannot amend a trailing stop")
        body = okx_requests.algo_amendment_body(ref, amendment, steps, only_target=row.only_target)
        late = Late(expires_at, "timestamp")
        call = Call("private_post_trade_amend_algos", body, ("amend_algo",), Priority.EXIT, ref.symbol, late)
        return self._taken(await self._wire.send(call), "algoId")

    async def _order_row(self, ref: VenueOrderRef, steps: Steps) -> OrderRow | None:
        params = okx_requests.named(ref, steps)
        return _newest(await self._asked("private_get_trade_order", params, "order", ref.symbol))

    async def _asked(self, endpoint: str, params: dict[str, object], limit: str, symbol: Symbol) -> list[OrderRow]:
        answer = await self._wire.ask(Call(endpoint, params, (limit,), Priority.DOUBT, symbol))
        return [] if isinstance(answer, Missing) else okx_rows.rows_of(OrderRow, answer)

    async def _listed(self, ref: VenueOrderRef, steps: Steps) -> OrderRow | None:
        """The newest order in OKX's lists with that name; asked before an order is declared not to exist."""
        params: dict[str, object] = {
            "instType": "SWAP" if steps.perpetual else "SPOT",
            "instId": steps.instrument_id,
        }
        pending = await self.paged(
            "private_get_trade_orders_pending", params, "orders_pending", "ordId", priority=Priority.DOUBT
        )
        ended = await self._wire.ask(
            Call(
                "private_get_trade_orders_history", {**params, "limit": str(PAGE)}, ("orders_history",), Priority.DOUBT
            )
        )
        rows = okx_rows.rows_of(OrderRow, pending + ([] if isinstance(ended, Missing) else ended))
        wanted = ref.venue_order_id or ref.client_id
        return _newest([row for row in rows if wanted in (row.ord_id, row.cl_ord_id)])

    async def _algo_row(self, ref: VenueOrderRef, steps: Steps) -> AlgoRow | None:
        name = okx_requests.named(ref, steps)
        name.pop("instId")
        answer = await self._wire.ask(Call("private_get_trade_order_algo", name, ("order_algo",), Priority.DOUBT))
        rows = [] if isinstance(answer, Missing) else okx_rows.rows_of(AlgoRow, answer)
        return max(
            rows or await self._listed_algos(ref, steps), key=lambda row: okx_rows.moment(row.c_time), default=None
        )

    async def _listed_algos(self, ref: VenueOrderRef, steps: Steps) -> list[AlgoRow]:
        """The orders at a trigger with that name in OKX's lists."""
        found: list[AlgoRow] = []
        for kind in ALGO_KINDS[:2]:
            params: dict[str, object] = {"ordType": kind, "instId": steps.instrument_id, "limit": str(PAGE)}
            calls = [Call("private_get_trade_orders_algo_pending", params, ("algos_pending",), Priority.DOUBT)]
            calls += [
                Call(
                    "private_get_trade_orders_algo_history", params | {"state": end}, ("algos_history",), Priority.DOUBT
                )
                for end in ALGO_ENDS
            ]
            for call in calls:
                answer = await self._wire.ask(call)
                found += [] if isinstance(answer, Missing) else okx_rows.rows_of(AlgoRow, answer)
        wanted = ref.venue_order_id or ref.client_id
        return [row for row in found if wanted in (row.algo_id, row.algo_cl_ord_id)]

    async def _algo(self, row: AlgoRow) -> VenueOrder:
        children: list[OrderRow] = []
        steps = self._markets.named(row.inst_id)
        for child in row.children:
            self._remember(child, Parent(row.algo_cl_ord_id))
            ref = VenueOrderRef(client_id="", symbol=steps.symbol, at_trigger=False, venue_order_id=child)
            found = await self._order_row(ref, steps) or await self._listed(ref, steps)
            if found is None:
                raise VenueUnavailable(f"okx does not find the order {child} that a trigger made")
            children.append(found)
        return okx_rows.algo(row, children, self._markets)

    def _taken(self, answer: dict[str, object] | Refused | Unknown, key: str, *, client_id: str = "") -> Sent:
        if isinstance(answer, Refused | Unknown):
            return answer
        name = "algoClOrdId" if key == "algoId" else "clOrdId"
        order_id = str(answer.get(key) or "")
        if not order_id or (client_id and str(answer.get(name) or client_id) != client_id):
            return Unknown("the reply does not name the order that it is about")
        written = answer.get("ts")
        return Taken(order_id, okx_rows.moment(str(written)) if written else self._clock.now())

    def _steps(self, symbol: Symbol) -> Steps | Refused:
        try:
            return self._markets.of(symbol)
        except VenueUnfit as error:
            return Refused(NOT_SENT, str(error))

    def _remember(self, order_id: str, parent: Parent) -> None:
        self._parents[order_id] = parent
        while len(self._parents) > CHILDREN_MAX:
            self._parents.popitem(last=False)


def _newest(rows: Sequence[OrderRow]) -> OrderRow | None:
    return max(rows, key=lambda row: okx_rows.moment(row.c_time), default=None)
