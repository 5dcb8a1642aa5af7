"""What a model may be asked, and how much of what it may answer: counts, weights, lengths and times."""

SYMBOLS_MAX = 16
"""So many symbols are in one prompt, and so many opinions in one answer."""

WEIGHT_MAX = 10_000
"""All of equity, in basis points; what of it is entered, the bot's own settings and the risk gate decide."""

CONFIDENCE_MAX = 100
HORIZON_MINUTES_MAX = 10_080
REASON_LETTERS_MAX = 280

ANSWER_BYTES_MAX = 65_536
ANSWER_DEPTH_MAX = 8
"""So deep may objects and lists be nested; the answer's own form is three deep."""

INVALIDATION_RATIO_MAX = 10
"""So many times the newest price, or so small a part of it, no level is a level any more."""
