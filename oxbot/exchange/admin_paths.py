"""What the admin side of the exchange understands, for its own list and for ``oxbot exchange --help``."""

from collections.abc import Mapping

PATHS: Mapping[str, str] = {
    "GET /": "this list",
    "GET /clock": "both clocks, in Unix ms",
    "POST /clock": "{freeze: true} | {resume: true, speed} | {advance_ms} | {skew_ms}: market clock, or server's skew",
    "GET, POST, DELETE /faults": "the faults, a new one, no more faults; DELETE /faults/ID ends one",
    "POST /maintenance": "{on}: everything is answered 50001",
    "POST /outage": "{seconds}: every connection is dropped, new ones too",
    "GET /sockets": "the WebSocket sessions",
    "POST /sockets/kick": "{path, account, code}: close, or just drop without a code",
    "POST /sockets/mute": "{path, account, seconds}: no pushes and no pongs",
    "POST, DELETE /pushes": "a fault of pushes: {kind: skip | duplicate | reorder, channel, account, count, after}",
    "POST /price": "{instrument, price, volume}: the price is this now",
    "POST /path": "{instrument, steps: [{price, after_ms, volume}]}: the price goes there, step by step",
    "POST /funding": "{instrument, rate}: of the next mark and all after it",
    "POST /instrument": "{instrument, state: live | suspend}",
    "POST /deposit": "{account, currency, amount}: below 0 is paid out",
    "GET /books": "?account=NAME: all orders, algo orders, fills, bills, positions, balances",
    "GET /digest": "SHA-256 of the whole state",
    "GET, DELETE /requests": "counters: requests by endpoint and minute, answers by code",
    "POST /crash": "SIGKILL",
}
