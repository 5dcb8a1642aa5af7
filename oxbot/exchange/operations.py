"""What a client may say over a WebSocket: log in, subscribe, place, change and end orders."""

from collections.abc import Mapping, Sequence

import msgspec

from oxbot.exchange import rest_trade
from oxbot.exchange.auth import Caller, caller_of_login
from oxbot.exchange.calls import Calls, Outcome, Request
from oxbot.exchange.channels import OF_INSTRUMENT, Channels, is_private, path_of
from oxbot.exchange.rest import INST_TYPES, OTHER_TYPES, Endpoint
from oxbot.exchange.sessions import Hub, Session, Subscription
from oxbot.exchange.wire import ApiError, Params, Row, decoded_body, one

BY_TYPE = ("orders", "orders-algo", "algo-advance", "positions")
TYPES = ("ANY", *INST_TYPES, *OTHER_TYPES)
_ENCODER = msgspec.json.Encoder(order="sorted")
_BY_PATH: Mapping[str, Endpoint] = {row.name: row for row in rest_trade.ENDPOINTS}

ORDER_OPERATIONS: Mapping[str, Endpoint] = {
    "order": _BY_PATH["POST trade/order"],
    "batch-orders": _BY_PATH["POST trade/batch-orders"],
    "cancel-order": _BY_PATH["POST trade/cancel-order"],
    "batch-cancel-orders": _BY_PATH["POST trade/cancel-batch-orders"],
    "amend-order": _BY_PATH["POST trade/amend-order"],
    "batch-amend-orders": _BY_PATH["POST trade/amend-batch-orders"],
}
"""They share the limits of the REST side."""


class Operations:
    """Carries out what sessions say."""

    def __init__(self, calls: Calls, hub: Hub, channels: Channels) -> None:
        self._calls = calls
        self._hub = hub
        self._channels = channels

    async def hear(self, session: Session, text: str) -> None:
        """One message of a client."""
        if text == "ping":
            session.say_text("pong")
            return
        try:
            message = one(decoded_body(text.encode()))
            operation = message.text("op")
            args = message.rows("args")
        except ApiError:
            session.say(_error(session, "60012", f"Illegal request: {text}"))
            return
        if operation in ORDER_OPERATIONS:
            await self._order(session, operation, message, args)
            return
        try:
            if operation == "login":
                self._log_in(session, args)
            elif operation in ("subscribe", "unsubscribe") and args:
                for arg in args:
                    self._listen(session, operation, arg)
            else:
                raise ApiError("60012", f"Illegal request: {text}")
        except ApiError as error:
            session.say(_error(session, error.code, error.message))

    def _log_in(self, session: Session, args: Sequence[Params]) -> None:
        if len(args) != 1:
            raise ApiError("60013", "Invalid args")
        name = "WS login"
        self._calls.counters.asked(name, now_ms=self._calls.clocks.server_ms())
        if self._calls.faults.maintenance:
            raise ApiError("50001", "Service temporarily unavailable. Please try again later.")
        fault = self._calls.faults.draw(name, account="", instruments=())
        if fault is not None:
            raise ApiError(fault.code, fault.message or "Login failed.")
        if session.path == "public":
            raise ApiError("60028", "The current operation is not supported by this URL.")
        try:
            caller = caller_of_login(self._calls.floor.exchange, args[0], server_ms=self._calls.clocks.server_ms())
        except ApiError as error:
            self._calls.counters.answered(name, error.code)
            raise
        if caller.account.demo != session.demo:
            raise ApiError("50101", "APIKey does not match current environment.")
        session.caller = caller
        self._calls.counters.answered(name, "0")
        session.say({"event": "login", "code": "0", "msg": "", "connId": session.connection_id})

    def _listen(self, session: Session, operation: str, arg: Params) -> None:
        channel = arg.text("channel")
        if path_of(channel) != session.path:
            raise ApiError(
                "60018",
                f"Wrong URL or channel:{channel} doesn't exist. Please use the correct URL, channel and "
                "parameters referring to API document.",
            )
        values = arg.values()
        key = _ENCODER.encode({name: value for name, value in values.items() if name != "extraParams"}).decode()
        ack: Row = {"event": operation, "arg": values, "connId": session.connection_id}
        if operation == "unsubscribe":
            self._hub.unsubscribe(session, key)
            session.say(ack)
            return
        self._calls.counters.asked(f"WS subscribe {channel}", now_ms=self._calls.clocks.server_ms())
        subscription = Subscription((channel, self._of(session, channel, arg)), values)
        # What is still to be told happened before the subscription, and the snapshot has it already.
        self._calls.floor.catch_up()
        self._calls.floor.ship()
        session.say(ack)
        self._channels.begin(session, subscription)
        self._hub.subscribe(session, key, subscription)

    def _of(self, session: Session, channel: str, arg: Params) -> str:
        """The instrument, or the account whose channel it is."""
        if is_private(channel):
            if session.caller is None:
                raise ApiError("60011", "Please log in")
            if channel in BY_TYPE and arg.text("instType") not in TYPES:
                raise ApiError("60012", f"Illegal request: channel {channel} needs an instType")
            return session.account
        name = arg.text("instId")
        if self._calls.floor.exchange.instrument(name) is None:
            kind = channel if channel in OF_INSTRUMENT else "candle"
            raise ApiError(
                "60018",
                f"Wrong URL or channel:{kind},instId:{name} doesn't exist. Please use the correct URL, channel "
                "and parameters referring to API document.",
            )
        return name

    async def _order(self, session: Session, operation: str, message: Params, rows: Sequence[Params]) -> None:
        endpoint = ORDER_OPERATIONS[operation]
        base = {"id": message.text("id"), "op": operation}
        try:
            caller = self._trader(session)
            if not 1 <= len(rows) <= (endpoint.rows_max or 1):
                raise ApiError("60013", "Invalid args")
            name = f"WS {operation}"
            self._calls.counters.asked(name, now_ms=self._calls.clocks.server_ms())
            request = Request(name, endpoint, rows[0], rows, caller, session.address, message.whole("expTime"))
        except ApiError as error:
            session.say({**base, "code": error.code, "msg": error.message, "data": []})
            return
        self._send(session, base, await self._calls.answer(request))

    def _trader(self, session: Session) -> Caller:
        if session.caller is None:
            raise ApiError("60011", "Please log in")
        if session.path != "private":
            raise ApiError("60028", "The current operation is not supported by this URL.")
        return session.caller

    def _send(self, session: Session, base: Mapping[str, str], outcome: Outcome) -> None:
        """A hung answer never comes; whatever else a fault spoils ends the connection."""
        if outcome.fault is not None:
            if outcome.fault.kind != "hang":
                session.close(None)
            return
        reply = outcome.reply
        if reply is not None:
            # As at OKX the message is empty where the rows say it all.
            text = "" if reply.data else reply.message
            session.say({**base, "code": reply.code, "msg": text, "data": reply.data})


def _error(session: Session, code: str, message: str) -> Row:
    return {"event": "error", "code": code, "msg": message, "connId": session.connection_id}
