"""Money to and from a bot, and its end, as an operator types them."""

import json

from tests.e2e.conftest import Oxbot


def test_an_operator_funds_a_bot_once_for_each_reference_and_takes_no_more_than_is_free(oxbot: Oxbot) -> None:
    assert oxbot("db", "migrate").returncode == 0
    fees = ("--set", "fees.maker=0.0002", "--set", "fees.taker=0.0005")
    bot = json.loads(oxbot("bots", "create", "one", "--symbols", "BTC/USDT", *fees, "--json").stdout)["bot_id"]

    came = [oxbot("bots", "deposit", "one", "250.50", "--reference", "wire 7") for _ in range(2)]
    assert {(done.returncode, done.stdout) for done in came} == {(0, f"bot {bot}: deposit of 250.5 under wire 7\n")}
    gone = json.loads(oxbot("bots", "withdraw", "one", "250", "--reference", "wire 8", "--json").stdout)
    assert gone == {"bot_id": bot, "kind": "withdrawal", "amount": "250", "reference": "wire 8", "version": 4}

    for arguments, words in (
        (("withdraw", "one", "10000.51", "--reference", "r"), "10000.5 free, less than 10000.51"),
        (("deposit", "one", "1", "--reference", "wire 7"), "reference 'wire 7' is that of a deposit of 250.5 already"),
        (("deposit", "one", "NaN", "--reference", "r"), "`$.amount` must be a number of at most 40 digits, above 0"),
        (("deposit", "one", "1", "--reference", ""), "`$.reference` must be text, 1 to 100 characters"),
        (("create", "x", "--symbols", "BTC/USDT", "--set", "name=y"), "--set 'name=y' contradicts name 'x'"),
        (("create", "x", "--symbols", "BTC/USDT", "--param", "fast=NaN"), "at least 2 and at most 5000, not NaN"),
    ):
        refused = oxbot("bots", *arguments)
        assert (refused.returncode, refused.stdout) == (2, ""), refused.stderr
        assert words in refused.stderr

    assert oxbot("bots", "stop", "one").returncode == 0
    for command in ("start", "activate"):
        refused = oxbot("bots", command, "one")
        assert (refused.returncode, refused.stdout) == (2, ""), command
        assert refused.stderr == f"oxbot: bot {bot} was stopped for good; create another\n"
    shown = json.loads(oxbot("bots", "show", "one", "--json").stdout)
    assert shown["bot"]["fees"] == {"maker": "0.0002", "taker": "0.0005", "buys_pay_in": "quote"}
    assert shown["result"]["cash"] == "10000.5"
