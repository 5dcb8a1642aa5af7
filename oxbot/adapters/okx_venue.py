"""An account at OKX as the port to a venue: its orders, trades, money and positions."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from events.identifiers import Symbol
from oxbot.adapters import okx_requests, okx_rows
from oxbot.adapters.ccxt_hints import CcxtHints
from oxbot.adapters.ccxt_wire import Call, CcxtWire, Missing, Rows
from oxbot.adapters.okx_markets import OkxMarkets, number
from oxbot.adapters.okx_orders import OkxOrders
from oxbot.adapters.okx_rows import BalanceRow, BillRow, FillRow, PositionRow
from oxbot.adapters.rate_limiter import Priority
from oxbot.app.clock import Clock
from oxbot.app.venue import (
    Sent,
    VenueAmendment,
    VenueBalance,
    VenueFill,
    VenueFunding,
    VenueHint,
    VenueOrder,
    VenueOrderRef,
    VenuePosition,
    VenueRequest,
    VenueUnavailable,
    VenueUnfit,
)
from oxbot.core.money import text

RECENT_FILLS = timedelta(days=2)
"""How far back OKX's quick list of fills is trusted; it holds three days, the slow one three months."""

TIME_KEPT_SECONDS = 1.0
RECENT_BILLS = timedelta(days=6)
FUNDING_FEE = "8"
DEAD_MAN_SECONDS = (10, 120)
"""What OKX takes for cancel-all-after, other than 0."""


class OkxVenue:
    """A ``Venue`` over ccxt; positions in net mode, perpetuals in isolated margin, quantities in base currency."""

    def __init__(self, wire: CcxtWire, markets: OkxMarkets, *, clock: Clock, hints: CcxtHints) -> None:
        self._wire = wire
        self._markets = markets
        self._clock = clock
        self._orders = OkxOrders(wire, markets, clock=clock)
        self._hints = hints
        self._asking_time = asyncio.Lock()
        self._time = datetime.min.replace(tzinfo=UTC)
        self._time_read = float("-inf")

    async def now(self) -> datetime:
        """See ``Venue.now``. Asked at most once a second, and between that never ahead of OKX's clock.

        OKX wrote its time before we read it, so what has passed since then may be added.
        """
        loop = asyncio.get_running_loop()
        async with self._asking_time:
            if loop.time() - self._time_read >= TIME_KEPT_SECONDS:
                [row] = await self._asked("public_get_public_time", {}, "time", rows=1, priority=Priority.DOUBT)
                self._time, self._time_read = okx_rows.moment(str(row.get("ts", ""))), loop.time()
            return self._time + timedelta(seconds=loop.time() - self._time_read)

    async def market_now(self) -> datetime:
        """See ``Venue.market_now``: told with the bounds of a price, of whatever is traded there."""
        name: dict[str, object] = {"instId": self._markets.any_id}
        [row] = await self._asked("public_get_public_price_limit", name, "price_limit", rows=1, priority=Priority.DOUBT)
        return okx_rows.moment(str(row.get("ts", "")))

    async def identity(self) -> str:
        """See ``Venue.identity``."""
        [row] = await self._asked("private_get_account_config", {}, "config", rows=1)
        return str(row.get("uid") or "")

    async def place(self, request: VenueRequest) -> Sent:
        """See ``Venue.place``."""
        return await self._orders.place(request)

    async def amend(self, ref: VenueOrderRef, amendment: VenueAmendment, *, expires_at: datetime) -> Sent:
        """See ``Venue.amend``."""
        return await self._orders.amend(ref, amendment, expires_at=expires_at)

    async def cancel(self, ref: VenueOrderRef) -> Sent:
        """See ``Venue.cancel``."""
        return await self._orders.cancel(ref)

    async def lookup(self, ref: VenueOrderRef) -> VenueOrder | None:
        """See ``Venue.lookup``."""
        return await self._orders.lookup(ref)

    async def open_orders(self) -> Sequence[VenueOrder]:
        """See ``Venue.open_orders``."""
        return await self._orders.open_orders()

    async def fills(self, *, since: datetime) -> Sequence[VenueFill]:
        """See ``Venue.fills``. Read over REST only: what is pushed has the fee's other sign, and gaps."""
        begin: dict[str, object] = {"begin": _before(since)}
        if self._clock.now() - since < RECENT_FILLS:
            rows = await self._orders.paged("private_get_trade_fills", begin, "fills", "billId")
        else:
            rows = []
            for kind in ("SPOT", "SWAP"):
                params = {**begin, "instType": kind}
                rows += await self._orders.paged("private_get_trade_fills_history", params, "fills_history", "billId")
        found = [await self._booked(row) for row in okx_rows.rows_of(FillRow, rows)]
        return sorted((fill for fill in found if fill.at >= since), key=lambda fill: (fill.at, fill.fill_id))

    async def funding(self, *, since: datetime) -> Sequence[VenueFunding]:
        """See ``Venue.funding``."""
        params: dict[str, object] = {"type": FUNDING_FEE, "begin": _before(since)}
        recent = self._clock.now() - since < RECENT_BILLS
        endpoint = "private_get_account_bills" if recent else "private_get_account_bills_archive"
        rows = await self._orders.paged(endpoint, params, "bills" if recent else "bills_archive", "billId")
        found = [okx_rows.funding(row, self._markets) for row in okx_rows.rows_of(BillRow, rows)]
        return sorted((payment for payment in found if payment.at >= since), key=lambda payment: payment.at)

    async def positions(self) -> Sequence[VenuePosition]:
        """See ``Venue.positions``. Raises ``VenueUnfit`` for an account in long/short mode."""
        rows = await self._asked("private_get_account_positions", {}, "positions")
        found = [okx_rows.position(row, self._markets) for row in okx_rows.rows_of(PositionRow, rows)]
        return [position for position in found if position is not None]

    async def balances(self) -> Sequence[VenueBalance]:
        """See ``Venue.balances``."""
        rows = await self._asked("private_get_account_balance", {}, "balance", rows=1)
        [row] = okx_rows.rows_of(BalanceRow, rows)
        found = [okx_rows.balance(detail) for detail in row.details]
        return [balance for balance in found if balance is not None]

    async def configure(self, symbol: Symbol, leverage: Decimal) -> Decimal:
        """See ``Venue.configure``. Raises ``VenueUnfit`` also for an account in long/short mode."""
        await self.check_mode()
        name: dict[str, object] = {"instId": self._markets.of(symbol).instrument_id, "mgnMode": "isolated"}
        wanted = {**name, "lever": text(leverage)}
        call = Call("private_post_account_set_leverage", wanted, ("set_leverage",), Priority.ENTRY, setting=True)
        try:
            await self._wire.ask(call)
        except VenueUnfit as unfit:
            raise VenueUnfit(f"a leverage of {text(leverage)} for {symbol} cannot be set: {unfit}") from unfit
        rows = await self._asked("private_get_account_leverage_info", name, "leverage", priority=Priority.ENTRY)
        read = [number(str(row.get("lever", ""))) for row in rows if row.get("mgnMode", "isolated") == "isolated"]
        if not read:
            raise VenueUnavailable(f"okx does not say what leverage {symbol} has")
        return read[0]

    async def cancel_all_after(self, seconds: int) -> None:
        """See ``Venue.cancel_all_after``. OKX takes 10 to 120 seconds; what is outside is brought to the nearest.

        Without the tag OKX would end every order of the account, whoever placed it.
        """
        least, most = DEAD_MAN_SECONDS
        bounded = min(max(seconds, least), most) if seconds else 0
        params: dict[str, object] = {"timeOut": str(bounded), "tag": okx_requests.ENTRY_TAG}
        await self._asked("private_post_trade_cancel_all_after", params, "cancel_all_after", priority=Priority.EXIT)

    def hints(self) -> AsyncIterator[VenueHint]:
        """See ``Venue.hints``."""
        return self._hints.hints()

    async def check_mode(self) -> None:
        """Raise ``VenueUnfit`` unless the account nets its positions."""
        [row] = await self._asked("private_get_account_config", {}, "config", rows=1, priority=Priority.ENTRY)
        if row.get("posMode") != "net_mode":
            raise VenueUnfit("the account is in long/short mode; set its position mode to net")

    async def _booked(self, row: FillRow) -> VenueFill:
        if row.cl_ord_id:
            return okx_rows.fill(row, row.cl_ord_id, self._markets)
        parent = await self._orders.parent_of(row.inst_id, row.ord_id)
        return okx_rows.fill(row, parent.client_id, self._markets, liquidation=parent.liquidation)

    async def _asked(
        self,
        endpoint: str,
        params: dict[str, object],
        limit: str,
        *,
        rows: int | None = None,
        priority: Priority = Priority.SWEEP,
    ) -> Rows:
        answer = await self._wire.ask(Call(endpoint, params, (limit,), priority))
        if isinstance(answer, Missing):
            raise VenueUnavailable(f"okx says that what was asked for does not exist ({answer.code})")
        if rows is not None and len(answer) != rows:
            raise VenueUnavailable(f"okx answered with {len(answer)} rows instead of {rows}")
        return answer


def _before(moment: datetime) -> str:
    """A little before it, as OKX takes times: whether its lists begin at or after one is not said."""
    return str(int(moment.timestamp() * 1000) - 1)
