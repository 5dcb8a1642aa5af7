"""Who asks: OKX's signatures on requests and on WebSocket logins, its 30-second window, permissions, demo accounts."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from oxbot.exchange.engine import Exchange
from oxbot.exchange.model import AccountConfig, ApiKey, Permission
from oxbot.exchange.wire import ApiError, Params

WINDOW_MS = 30_000
LOGIN_PATH = "GET/users/self/verify"


class Caller(NamedTuple):
    """Whose request it is."""

    account: AccountConfig
    key: ApiKey

    def must(self, permission: Permission) -> None:
        """Refuses without the permission."""
        if permission not in self.key.permissions:
            raise ApiError("50120", "This API key doesn't have permission to use this function")


class SignedRequest(NamedTuple):
    """What a signature covers."""

    method: str
    path_and_query: str
    body: bytes


def signature(secret: str, text: str) -> str:
    """Base64 of the HMAC-SHA256."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), hashlib.sha256)).decode()


def caller_of_request(
    exchange: Exchange, headers: Mapping[str, str], request: SignedRequest, *, server_ms: int
) -> Caller:
    """Whose request this is; refuses with the code that OKX has for what is wrong."""
    for name, code in (("KEY", "50103"), ("PASSPHRASE", "50104"), ("SIGN", "50106"), ("TIMESTAMP", "50107")):
        if not headers.get(f"OK-ACCESS-{name}"):
            raise ApiError(code, f'Request header "OK-ACCESS-{name}" cannot be empty.')
    found = exchange.api_key(headers["OK-ACCESS-KEY"])
    if found is None:
        raise ApiError("50111", "Invalid OK-ACCESS-KEY")
    account, key = found
    stamp = headers["OK-ACCESS-TIMESTAMP"]
    if abs(server_ms - _milliseconds(stamp)) > WINDOW_MS:
        raise ApiError("50102", "Timestamp request expired")
    if not hmac.compare_digest(headers["OK-ACCESS-PASSPHRASE"].encode(), key.passphrase.encode()):
        raise ApiError("50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.')
    expected = signature(key.secret, f"{stamp}{request.method}{request.path_and_query}{_text(request.body)}")
    if not hmac.compare_digest(headers["OK-ACCESS-SIGN"].encode(), expected.encode()):
        raise ApiError("50113", "Invalid Sign")
    if (headers.get("x-simulated-trading") == "1") != account.demo:
        raise ApiError("50101", "APIKey does not match current environment.")
    return Caller(account, key)


def caller_of_login(exchange: Exchange, args: Params, *, server_ms: int) -> Caller:
    """Whose WebSocket login this is; refuses with the codes of the WebSocket side."""
    found = exchange.api_key(args.text("apiKey"))
    if found is None:
        raise ApiError("60005", "Invalid apiKey")
    account, key = found
    stamp = args.text("timestamp")
    try:
        seconds = float(stamp)
    except ValueError:
        raise ApiError("60004", "Invalid timestamp") from None
    if not abs(server_ms - seconds * 1000) <= WINDOW_MS:
        raise ApiError("60006", "Timestamp request expired")
    if not hmac.compare_digest(args.text("passphrase").encode(), key.passphrase.encode()):
        raise ApiError("60024", "Wrong passphrase")
    expected = signature(key.secret, f"{stamp}{LOGIN_PATH}")
    if not hmac.compare_digest(args.text("sign").encode(), expected.encode()):
        raise ApiError("60007", "Invalid sign")
    return Caller(account, key)


def _milliseconds(stamp: str) -> int:
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        raise ApiError("50112", "Invalid OK-ACCESS-TIMESTAMP") from None
    if moment.tzinfo is None:
        raise ApiError("50112", "Invalid OK-ACCESS-TIMESTAMP")
    return int(moment.astimezone(UTC).timestamp() * 1000)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise ApiError("50002", "JSON syntax error") from None
