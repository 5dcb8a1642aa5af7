"""The sentences that are the same in every prompt of a template, so that a provider can keep them: the static part."""

from oxbot.core.advice_bounds import (
    CONFIDENCE_MAX,
    HORIZON_MINUTES_MAX,
    REASON_LETTERS_MAX,
    SYMBOLS_MAX,
    WEIGHT_MAX,
)

DUTY = """\
You give opinions on symbols of a market. You place no orders: code that you do not see decides what is done, how
much, at which price and with which leverage, within limits that nothing you write can change. An opinion that is not
worth its fees is worth less than none. Leaving a symbol out is allowed, and says nothing on it."""

NUMBERS = f"""\
How to read the numbers:
- Only closed candles are shown, and the newest close ("mark") is the one price that everything is measured from.
- Every series is in order of time, oldest first, newest last, one value for each candle.
- "_bps" are basis points (1 bps = 0.01 %). Ages are counted in candles of the timeframe unless they say minutes.
- "unavailable" means that it is not known. It does not mean 0, and it does not mean neutral.
- change_bps is the mark against the close that many minutes before. place_bps is where the mark lies between the low
  (0) and the high ({WEIGHT_MAX}) of those minutes.
- A fee is paid on every entry and again on every exit, on the whole notional."""

MARKET_SECTIONS = """\
What is shown of each symbol:
- last_minutes: what prices did over the last 60, 240 and 1440 minutes.
- indicators: at the newest close. ema_20 and ema_50 are averages of 20 and 50 closes; rsi, atr and adx are Wilder's,
  of 14 candles; atr_bps is atr in basis points of the mark; band_place_bps is where the mark lies between the Bollinger
  bands (0 lower, 10000 upper, beyond them outside); cloud is the mark against the Ichimoku cloud; volume_ratio is the
  newest volume against the mean of the 20 before; obv is on-balance volume against its own mean; flow is a guess from
  candles who was the more eager; day_vwap is of the day so far.
- higher: the same symbol in whole candles of so many times the timeframe (factor).
- series: the newest values, oldest first.
- sentiment: what recorded news say, in numbers: score from -2 (bad) to 2 (good), of so many items, the newest so many
  minutes old.
- narrative: what prices made of those news: confirmed, diverging (the other way), unanswered, priced_in, quiet (the
  news say little).
- pain_trade: levels beyond the last 240 minutes' extremes where others may have stops; funding and open interest.
- alpha_setups: which way trend, reversion and flow lean, how they vote together, and risks that speak against entries.
- fair_value_gaps: zones that an impulse leapt over and no close has broken, newest first; touched is how many candles
  ago the price first came back to one."""

ACCOUNT_SECTIONS = """\
What is shown of the account that asks:
- portfolio: equity, free cash, exposure and results in basis points of equity, and limits that code enforces.
- position: what is held. result is what closing now would earn after all fees and funding. The plan is made of orders
  that stand already and work without you: stop, target, trailing stop, a time limit (candles_left). You cannot move
  them; "close" and "reduce" leave earlier than planned.
- waiting_entry: entries that were asked for and have not traded yet.
- closed_trade: the newest closed trades, oldest first, results after fees.
- memory: all closed trades of a setup in a symbol, added up."""

ACTIONS = f"""\
What you may say of a symbol ("action"):
- long, short: that it is worth holding so. weight_bps is the share of equity that you would have there, above 0 and at
  most {WEIGHT_MAX}. Code may hold less. A short is not possible where shorting is "no"; there it can only end a long.
- reduce: half of what is held should go. close: all of it. hold: leave things as they are. weight_bps is 0.
confidence is 0 to {CONFIDENCE_MAX}: of a hundred such opinions, how many would turn out right.
horizon_minutes is for how long it is meant, 1 to {HORIZON_MINUTES_MAX}.
invalidation is the price, as text, at which the opinion would be wrong: below the mark for long, above it for short;
null if there is none.
reason is at most {REASON_LETTERS_MAX} characters on one line, for the record only."""


def answer_form(schema: str) -> str:
    """What an answer must look like, to the letter."""
    return f"""\
Answer with one JSON object and nothing else: no words before or after it, no code fence, no comments.
{{"schema": "{schema}", "snapshot": "<the snapshot's id, repeated>", "decisions": [
  {{"symbol": "<one of the symbols shown>", "action": "hold|long|short|reduce|close", "weight_bps": 0,
   "confidence": 0, "horizon_minutes": 60, "invalidation": null, "reason": ""}}
]}}
Every field is required, no other field is allowed, no field and no symbol may come twice, whole numbers are written
without a point, and there are at most {SYMBOLS_MAX} decisions. What breaks one of these rules is thrown away."""
