"""Where a command works: the state, the settings, and what is to be told when it is done."""

from decimal import Decimal

import msgspec

from oxbot.exchange.model import Instrument, Refused, Settings
from oxbot.exchange.pushes import AlgoPushed, OrderPushed, Push
from oxbot.exchange.records import AlgoOrder, Bar, Fill, Order
from oxbot.exchange.state import Account, Market, State


class Refusal(Exception):
    """A command is refused; raised before anything was changed."""

    def __init__(self, code: str, msg: str) -> None:
        super().__init__(f"{code}: {msg}")
        self.code = code
        self.msg = msg

    @property
    def refused(self) -> Refused:
        """The same as an answer."""
        return Refused(self.code, self.msg)


class Desk:
    """State and pushes; ``touch_*`` remember whose balances and positions are to be told at the end of a command."""

    def __init__(self, settings: Settings, state: State) -> None:
        self.settings = settings
        self.state = state
        self.pushes: list[Push] = []
        self.days: dict[str, Bar] = {}
        """What the ticker of each instrument knows of the day; can always be made again."""
        self.touched_balances: dict[str, dict[str, None]] = {}
        self.touched_positions: dict[str, dict[str, None]] = {}

    def account(self, name: str) -> Account:
        """Refuses if there is none."""
        account = self.state.accounts.get(name)
        if account is None:
            raise Refusal("59103", f"Account {name} does not exist")
        return account

    def instrument(self, inst_id: str) -> Instrument:
        """Refuses if there is none."""
        instrument = self.state.instruments.get(inst_id)
        if instrument is None:
            raise Refusal("51001", "Instrument ID does not exist.")
        return instrument

    def market(self, inst_id: str) -> Market:
        """Refuses if there is none."""
        self.instrument(inst_id)
        return self.state.markets[inst_id]

    def last(self, inst_id: str) -> Decimal:
        """The last price; refuses while there is none."""
        last = self.market(inst_id).last
        if last is None:
            raise Refusal("51109", "No available offers.")
        return last

    def new_id(self) -> str:
        """The next id; orders, algos, trades, bills and positions share one row of numbers."""
        self.state.next_id += 1
        return str(self.state.next_id)

    def new_sequence(self) -> int:
        """The next push's number."""
        self.state.sequence += 1
        return self.state.sequence

    def tell_order(
        self, order: Order, *, fill: Fill | None = None, amended: bool = False, request_id: str = ""
    ) -> None:
        """Push the order as it is now."""
        self.pushes.append(
            OrderPushed(
                sequence=self.new_sequence(),
                account=order.account,
                order=msgspec.structs.replace(order),
                fill=fill,
                amended=amended,
                request_id=request_id,
                at=self.state.now,
            )
        )

    def tell_algo(self, algo: AlgoOrder) -> None:
        """Push the algo order as it is now."""
        self.pushes.append(
            AlgoPushed(
                sequence=self.new_sequence(),
                account=algo.account,
                algo=msgspec.structs.replace(algo),
                at=self.state.now,
            )
        )

    def touch_balance(self, account: str, currency: str) -> None:
        """Tell this balance at the end of the command."""
        self.touched_balances.setdefault(account, {})[currency] = None

    def touch_position(self, account: str, key: str) -> None:
        """Tell this position at the end of the command."""
        self.touched_positions.setdefault(account, {})[key] = None
