"""The local exchange: commands and time go in, answers and pushes come out; the same in, the same out, always."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal, assert_never

from oxbot.core import money
from oxbot.core.candles import Candle
from oxbot.exchange import accounts, algos, amending, clockwork, matching, prices
from oxbot.exchange import commands as c
from oxbot.exchange.desk import Desk, Refusal
from oxbot.exchange.model import (
    AccountSpec,
    AlgoPlaced,
    AmendAlgo,
    AmendOrder,
    CancelAlgo,
    CancelOrder,
    Instrument,
    MarginMode,
    PlaceAlgo,
    Placed,
    PlaceOrder,
    PositionMode,
    Refused,
    Settings,
)
from oxbot.exchange.pushes import Push
from oxbot.exchange.questions import Questions
from oxbot.exchange.records import Step
from oxbot.exchange.state import State

Answer = Placed | AlgoPlaced | Refused | int | None


class Exchange(Questions):
    """One exchange. It has no clock: every command carries ``now`` (Unix ms), and time only ever goes forward.

    A command first plays what was due until ``now`` (price steps, funding, cancel-all-after), then does its own.
    ``record`` is given every command that changed anything, in order, right after it did: the journal's hook.
    """

    def __init__(
        self, settings: Settings, *, state: State | None = None, record: Callable[[c.Command], None] | None = None
    ) -> None:
        super().__init__(Desk(settings, State() if state is None else state))
        self._record = record

    # Time and market

    def advance(self, now: int, *, keep: bool = False) -> None:
        """Play what is due until ``now``; with ``keep`` the time itself is recorded even if nothing was due."""
        self.execute(c.Advance(now), keep=keep)

    def next_due(self) -> int | None:
        """When something will happen by itself next, or None."""
        return clockwork.next_due(self._desk)

    @property
    def now(self) -> int:
        """The latest time that was recorded."""
        return self._desk.state.now

    def list_instrument(self, instrument: Instrument, now: int) -> None:
        """Begin to trade it (or replace what is known of it). It can be traded once it has a price."""
        self.execute(c.ListInstrument(now, instrument))

    def set_instrument_state(self, inst_id: str, state: Literal["live", "suspend"], now: int) -> Refused | None:
        """Suspend (orders: 51022) or resume."""
        return _nothing(self.execute(c.SetInstrumentState(now, inst_id, state)))

    def feed(self, inst_id: str, candle: Candle, duration_ms: int, now: int) -> Refused | None:
        """Let the price follow this candle, from its open time on. They must be fed in order, and not be over."""
        return _nothing(self.execute(c.Feed(now, inst_id, candle, duration_ms)))

    def backfill(self, inst_id: str, candles: Sequence[Candle], duration_ms: int, now: int) -> Refused | None:
        """Give an instrument that has no history yet these closed candles; their last close is its first price."""
        return _nothing(self.execute(c.Backfill(now, inst_id, tuple(candles), duration_ms)))

    def fed_until(self, inst_id: str) -> int | None:
        """The end of the last candle that was fed (ms), or None."""
        return prices.fed_until(self._desk, inst_id)

    def add_steps(self, inst_id: str, steps: Sequence[Step], now: int) -> Refused | None:
        """Let the price go through these points, each at its time (not before ``now``), among those of candles."""
        return _nothing(self.execute(c.AddSteps(now, inst_id, tuple(steps))))

    def set_price(self, inst_id: str, price: Decimal, now: int, *, volume: Decimal = Decimal(0)) -> Refused | None:
        """Let the price be this now. ``volume`` (base currency) bounds fills where participation is set."""
        answer = self.add_steps(inst_id, (Step(max(now, self.now), price, volume),), now)
        if answer is None:
            self.advance(now)
        return answer

    def set_funding_rate(self, inst_id: str, rate: Decimal, now: int) -> Refused | None:
        """The rate paid at the next mark and at all after it; above 0: longs pay."""
        return _nothing(self.execute(c.SetFundingRate(now, inst_id, rate)))

    # Accounts

    def open_account(self, spec: AccountSpec, now: int) -> None:
        """Open an account; if there is one of that name, its keys become these and nothing else changes."""
        self.execute(c.OpenAccount(now, spec))

    def deposit(self, account: str, currency: str, amount: Decimal, now: int) -> Refused | None:
        """Pay in, or out if below 0 (58350 if there is not so much)."""
        return _nothing(self.execute(c.Deposit(now, account, currency, amount)))

    def set_leverage(
        self, account: str, inst_id: str, margin_mode: MarginMode, leverage: Decimal, now: int
    ) -> Refused | None:
        """59000 if it would change under an open position or order."""
        return _nothing(self.execute(c.SetLeverage(now, account, inst_id, margin_mode, leverage)))

    def set_position_mode(self, account: str, mode: PositionMode, now: int) -> Refused | None:
        """59000 if there is an open position or order. Orders are refused (51000) while it is long_short_mode."""
        return _nothing(self.execute(c.SetPositionMode(now, account, mode)))

    # Orders; ``expires_at`` is the expTime header: past it nothing is done (51149)

    def place(self, account: str, request: PlaceOrder, now: int, *, expires_at: int | None = None) -> Placed | Refused:
        """Place an order."""
        return _order(self.execute(c.Place(now, account, request, expires_at)))

    def amend(self, account: str, request: AmendOrder, now: int, *, expires_at: int | None = None) -> Placed | Refused:
        """Change a working order."""
        return _order(self.execute(c.Amend(now, account, request, expires_at)))

    def cancel(self, account: str, request: CancelOrder, now: int) -> Placed | Refused:
        """End a working order: 51400 no such, 51401 canceled before, 51402 filled before."""
        return _order(self.execute(c.Cancel(now, account, request)))

    def place_algo(
        self, account: str, request: PlaceAlgo, now: int, *, expires_at: int | None = None
    ) -> AlgoPlaced | Refused:
        """Place an algo order."""
        return _algo(self.execute(c.PlaceAlgoOrder(now, account, request, expires_at)))

    def amend_algo(
        self, account: str, request: AmendAlgo, now: int, *, expires_at: int | None = None
    ) -> AlgoPlaced | Refused:
        """Change a live algo order (not a trailing one)."""
        return _algo(self.execute(c.AmendAlgoOrder(now, account, request, expires_at)))

    def cancel_algo(self, account: str, request: CancelAlgo, now: int) -> AlgoPlaced | Refused:
        """End a live algo order: 51400 no such, 51401 canceled before, 51402 triggered before."""
        return _algo(self.execute(c.CancelAlgoOrder(now, account, request)))

    def cancel_all_after(self, account: str, seconds: int, now: int, *, tag: str = "") -> int | Refused:
        """End all orders (not algos, as at OKX) in 10 to 120 s unless called again; 0 stops it. When (ms), or 0.

        With a ``tag`` only the orders with that tag, in a countdown of its own.
        """
        answer = self.execute(c.CancelAllAfter(now, account, seconds, tag))
        assert isinstance(answer, int | Refused)  # noqa: S101 - says which answers this command has
        return answer

    # The engine itself

    @property
    def settings(self) -> Settings:
        """How this market behaves."""
        return self._desk.settings

    @property
    def state(self) -> State:
        """Everything it knows; the journal's, and for tests to look at."""
        return self._desk.state

    def drain(self) -> Sequence[Push]:
        """What was to be told since the last call, in order."""
        told, self._desk.pushes = self._desk.pushes, []
        return told

    def snapshot(self) -> bytes:
        """The whole state; equal states give equal bytes."""
        return self._desk.state.encoded()

    def digest(self) -> str:
        """SHA-256 of the snapshot, in hex."""
        return self._desk.state.digest()

    def execute(self, command: c.Command, *, keep: bool = False) -> Answer:
        """Run a command, recorded or not; the typed methods above are the way to call it."""
        desk = self._desk
        at = max(command.at, desk.state.now)
        with money.exact():
            if clockwork.play(desk, at) and self._record is not None:
                self._record(c.Advance(at))
            if isinstance(command, c.Advance) and not keep:
                return None
            before, desk.state.now = desk.state.now, at
            try:
                answer = _apply(desk, command)
            except Refusal as refusal:
                desk.state.now = before
                return Refused(refusal.code, refusal.msg)
            accounts.settle(desk)
        if self._record is not None:
            self._record(command)
        return answer


def _apply(desk: Desk, command: c.Command) -> Answer:
    match command:
        case c.Advance() | c.ListInstrument() | c.SetInstrumentState() | c.SetFundingRate():
            _apply_to_market(desk, command)
        case c.Feed() | c.Backfill() | c.AddSteps():
            prices.schedule(desk, command)
        case c.OpenAccount() | c.Deposit() | c.SetLeverage() | c.SetPositionMode() | c.CancelAllAfter():
            return accounts.apply(desk, command)
        case c.Place(_, account, request, expires_at):
            return matching.place(desk, account, request, expires_at)
        case c.Amend(_, account, request, expires_at):
            return amending.amend(desk, account, request, expires_at)
        case c.Cancel(_, account, request):
            return matching.cancel(desk, account, request)
        case c.PlaceAlgoOrder(_, account, request, expires_at):
            return algos.place(desk, account, request, expires_at)
        case c.AmendAlgoOrder(_, account, request, expires_at):
            return amending.amend_algo(desk, account, request, expires_at)
        case c.CancelAlgoOrder(_, account, request):
            return algos.cancel(desk, account, request)
        case _:
            assert_never(command)
    return None


def _apply_to_market(
    desk: Desk, command: c.Advance | c.ListInstrument | c.SetInstrumentState | c.SetFundingRate
) -> None:
    match command:
        case c.ListInstrument(_, instrument):
            clockwork.list_instrument(desk, instrument)
        case c.SetInstrumentState(_, inst_id, state):
            desk.instrument(inst_id).state = state
        case c.SetFundingRate(_, inst_id, rate):
            clockwork.set_funding_rate(desk, inst_id, rate)
        case c.Advance():
            pass
        case _:
            assert_never(command)


def _nothing(answer: Answer) -> Refused | None:
    return answer if isinstance(answer, Refused) else None


def _order(answer: Answer) -> Placed | Refused:
    assert isinstance(answer, Placed | Refused)  # noqa: S101 - says which answers these commands have
    return answer


def _algo(answer: Answer) -> AlgoPlaced | Refused:
    assert isinstance(answer, AlgoPlaced | Refused)  # noqa: S101 - says which answers these commands have
    return answer
