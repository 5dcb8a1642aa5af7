"""What must be so at the venue, and in the log, in the moment before an order goes out."""

from events.bot import OrderCancelRequested
from events.identifiers import BotId, OrderId
from oxbot.app.execution_books import AccountBook, BotBooks, VenueTime
from oxbot.app.execution_plan import Line, too_late, unwelcome
from oxbot.app.execution_report import unchanged
from oxbot.app.execution_sending import VenueCalls
from oxbot.app.venue import Venue, VenueUnfit
from oxbot.core.bot_state import BotState
from oxbot.core.money import ZERO
from oxbot.core.orders import Order
from oxbot.core.venue_account import ConfirmLeverage

CANCELS_MAX = 5


class Gate:
    """Lets an order out, or says why not. It raises ``Superseded`` once a newer incarnation has the account."""

    def __init__(
        self, venue: Venue, *, account: AccountBook, bots: BotBooks, time: VenueTime, calls: VenueCalls
    ) -> None:
        self._venue = venue
        self._account = account
        self._bots = bots
        self._time = time
        self._calls = calls
        self._waits: dict[OrderId, int] = {}

    async def fault(self, bot_id: BotId, line: Line) -> str | None:
        """Why what was submitted must not be sent after all, by what has been said since: a switch, a cancel, the time.

        Whoever has taken over since looks the order up until it has expired at the venue; then it is theirs.
        """
        account, bot = await self._account.refresh(), await self._bots.refresh(bot_id)
        order = line.lead
        if not unchanged(bot, line):
            return "it was submitted again"
        if any((known := bot.orders.get(each.order_id)) is None or known.cancel_requested_at for each in line.orders):
            return "it was withdrawn before it was sent"
        return unwelcome(order, bot, account, now=self._time.now()) or self.too_late(order, bot)

    def too_late(self, order: Order, bot: BotState) -> str | None:
        """Why an entry has no meaning any more."""
        late_max = self._time.entry_late_max
        return too_late(order, now=self._time.market_now(), candle=bot.candle, late_max=late_max)

    async def leverage_fault(self, order: Order) -> str | None:
        """Why an entry in a perpetual may not go out by its leverage; set and read back before the first of them."""
        if order.reduce_only or order.funds.kind == "spot":
            return None
        account = self._account.state
        if account.leverages.get(order.symbol) == order.leverage:
            return None
        try:
            confirmed = await self._calls.asked(self._venue.configure(order.symbol, order.leverage))
        except VenueUnfit as unfit:
            return str(unfit)
        if confirmed != order.leverage:
            return f"the venue has a leverage of {confirmed} for {order.symbol}, not {order.leverage}"
        await self._account.record(
            ConfirmLeverage(epoch=self._account.epoch, at=self._time.now(), symbol=order.symbol, leverage=confirmed)
        )
        return None

    async def must_wait(self, bot_id: BotId, order: Order, bot: BotState) -> bool:
        """Whether what rests against a spot position must be taken off before all of it is sold at the market.

        A spot venue knows no positions: reached in that moment, a stop would sell what is not there, or is another's.
        """
        held = bot.ledger.positions.get(order.symbol)
        if order.funds.kind != "spot" or order.kind != "market" or not order.reduce_only or held is None:
            return False
        exits = [each for each in bot.working(order.symbol) if each.reduce_only]
        resting = [each for each in exits if each.kind != "market"]
        leaving = sum((each.quantity_open for each in exits if each.kind == "market"), ZERO)
        whole = leaving + bot.instrument(order.symbol).lot > held.quantity
        unasked = [each for each in resting if each.cancel_requested_at is None]
        tries = self._waits.get(order.order_id, 0)
        if resting and not whole:
            # Until those that were asked to go have gone, they may be reached.
            return len(unasked) < len(resting)
        if not resting or (unasked and tries >= CANCELS_MAX):
            self._waits.pop(order.order_id, None)
            return False
        if unasked:
            self._waits[order.order_id] = tries + 1
            now, reason = self._time.market_now(), f"{order.order_id} sells all of it"
            facts = [OrderCancelRequested(order_id=each.order_id, at=now, reason=reason) for each in unasked]
            await self._bots.tell(bot_id, lambda _: facts)
        return True
