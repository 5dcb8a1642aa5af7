"""The market's records as OKX's rows."""

import hashlib
from collections.abc import Sequence

from oxbot.exchange.model import AccountConfig, Instrument, LeverageInfo
from oxbot.exchange.records import Bar, Book, FundingRate, Level, PublicTrade, Ticker
from oxbot.exchange.wire import Row, say

_CODES = 1_000_000


def instrument_code(inst_id: str) -> int:
    """OKX's ``instIdCode``: a number for the same thing."""
    return int.from_bytes(hashlib.sha256(inst_id.encode()).digest()[:4]) % _CODES + 1


def instrument_row(instrument: Instrument) -> Row:
    """As /public/instruments shows it."""
    swap = instrument.inst_type == "SWAP"
    pair = f"{instrument.base}-{instrument.quote}"
    return {
        "instType": instrument.inst_type,
        "instId": instrument.inst_id,
        "instIdCode": instrument_code(instrument.inst_id),
        "uly": pair if swap else "",
        "instFamily": pair if swap else "",
        "category": "1",
        "baseCcy": "" if swap else instrument.base,
        "quoteCcy": "" if swap else instrument.quote,
        "settleCcy": instrument.quote if swap else "",
        "ctVal": say(instrument.contract_value) if swap else "",
        "ctMult": "1" if swap else "",
        "ctValCcy": instrument.base if swap else "",
        "ctType": "linear" if swap else "",
        "optType": "",
        "stk": "",
        "listTime": str(instrument.list_time),
        "expTime": "",
        "lever": say(instrument.leverage_max) if swap else "",
        "tickSz": say(instrument.tick),
        "lotSz": say(instrument.lot),
        "minSz": say(instrument.minimum),
        "maxLmtSz": say(instrument.max_limit),
        "maxMktSz": say(instrument.max_market),
        "maxLmtAmt": "20000000",
        "maxMktAmt": "1000000",
        "maxTwapSz": say(instrument.max_limit),
        "maxIcebergSz": say(instrument.max_limit),
        "maxTriggerSz": say(instrument.max_limit),
        "maxStopSz": say(instrument.max_market),
        "alias": "",
        "state": instrument.state,
        "ruleType": "normal",
    }


def ticker_row(ticker: Ticker) -> Row:
    """As /market/ticker and the channel tickers show it."""
    return {
        "instType": ticker.inst_type,
        "instId": ticker.inst_id,
        "last": say(ticker.last),
        "lastSz": say(ticker.last_size),
        "askPx": say(ticker.ask),
        "askSz": say(ticker.ask_size),
        "bidPx": say(ticker.bid),
        "bidSz": say(ticker.bid_size),
        "open24h": say(ticker.open_24h),
        "high24h": say(ticker.high_24h),
        "low24h": say(ticker.low_24h),
        "volCcy24h": say(ticker.quote_volume_24h),
        "vol24h": say(ticker.volume_24h),
        "sodUtc0": say(ticker.open_24h),
        "sodUtc8": say(ticker.open_24h),
        "ts": str(ticker.at),
    }


def trade_row(trade: PublicTrade) -> Row:
    """As /market/trades and the channel trades show it."""
    return {
        "instId": trade.inst_id,
        "tradeId": trade.trade_id,
        "px": say(trade.price),
        "sz": say(trade.size),
        "side": trade.side,
        "source": "0",
        "count": "1",
        "ts": str(trade.at),
    }


def level_rows(levels: Sequence[Level]) -> list[list[str]]:
    """Price, size, a field that OKX no longer uses, and the number of orders."""
    return [[say(level.price), say(level.size), "0", str(level.orders)] for level in levels]


def book_row(book: Book) -> Row:
    """As /market/books shows it."""
    return {
        "asks": level_rows(book.asks),
        "bids": level_rows(book.bids),
        "ts": str(book.at),
        "seqId": book.sequence,
    }


def bar_row(bar: Bar, instrument: Instrument) -> list[str]:
    """A candle: volume in contracts for SWAP, then in base and in quote currency."""
    base_volume = bar.volume * instrument.contract_value
    return [
        str(bar.at),
        say(bar.open),
        say(bar.high),
        say(bar.low),
        say(bar.close),
        say(bar.volume),
        say(base_volume if instrument.inst_type == "SWAP" else bar.quote_volume),
        say(bar.quote_volume),
        "1" if bar.confirmed else "0",
    ]


def funding_row(rate: FundingRate) -> Row:
    """The coming rate."""
    return {
        "instType": "SWAP",
        "instId": rate.inst_id,
        "method": "current_period",
        "formulaType": "noRate",
        "fundingRate": say(rate.rate),
        "nextFundingRate": "",
        "fundingTime": str(rate.funding_time),
        "nextFundingTime": str(rate.next_funding_time),
        "minFundingRate": "-0.00375",
        "maxFundingRate": "0.00375",
        "settState": "settled",
        "settFundingRate": say(rate.rate),
        "premium": "0",
        "ts": str(rate.at),
    }


def paid_funding_row(rate: FundingRate) -> Row:
    """A rate that was paid."""
    return {
        "instType": "SWAP",
        "instId": rate.inst_id,
        "fundingRate": say(rate.rate),
        "realizedRate": say(rate.rate),
        "fundingTime": str(rate.funding_time),
        "method": "current_period",
        "formulaType": "noRate",
    }


def config_row(config: AccountConfig, *, permissions: Sequence[str], label: str) -> Row:
    """As /account/config shows it."""
    return {
        "uid": config.uid,
        "mainUid": config.uid,
        "acctLv": config.level,
        "posMode": config.position_mode,
        "autoLoan": False,
        "greeksType": "PA",
        "level": "Lv1",
        "levelTmp": "",
        "ctIsoMode": "automatic",
        "mgnIsoMode": "automatic",
        "spotOffsetType": "",
        "label": label,
        "roleType": "0",
        "spotRoleType": "0",
        "opAuth": "0",
        "kycLv": "3",
        "ip": "",
        "perm": ",".join(permissions),
        "enableSpotBorrow": False,
        "acctStpMode": "cancel_maker",
        "type": "0",
    }


def leverage_row(info: LeverageInfo, currency: str) -> Row:
    """As /account/leverage-info shows it."""
    return {
        "instId": info.inst_id,
        "ccy": currency,
        "mgnMode": info.margin_mode,
        "posSide": "net",
        "lever": say(info.leverage),
    }
