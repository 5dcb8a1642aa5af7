"""What a model is told: rendered from a snapshot alone, what never changes first, and for ever as it was."""

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from events.advice import Sentiment
from events.values import RiskLimits
from oxbot.core.advice_answer import Answer, asked_for, read_answer
from oxbot.core.advice_bounds import REASON_LETTERS_MAX, SYMBOLS_MAX, WEIGHT_MAX
from oxbot.core.advice_schema import ACTIONS, AnswerForm, Decision
from oxbot.core.advice_snapshot import TEMPLATES, Snapshot, UnknownTemplate, digest, snapshot
from oxbot.core.prompts import Message, render, static_part
from tests.core.advice_scenes import FIVE_MINUTES, bot, seen, shown, walk
from tests.core.lives import BRACKET, BTC, ETH, Life, Wish, at, candle, creation, spot

GOLDEN = Path(__file__).parent.parent / "golden" / "prompts_v1.json"


class Kept(msgspec.Struct):
    """A prompt as it was rendered when its version was new."""

    template: str
    version: int
    digest: str
    snapshot: Snapshot
    messages: list[Message]


def _text(messages: Sequence[Message]) -> str:
    return "\n".join(message.content for message in messages)


def _two_symbols(template: str) -> Snapshot:
    """A bot of two symbols that holds one of them, of which there is news."""
    command = creation(spot(BTC), spot(ETH), timeframe="5m", limits=RiskLimits(drawdown_max=Decimal("0.2")))
    life = Life.of(command, at(0, Wish(bracket=BRACKET, setup="model_long")))
    life.see_candles([candle(0, "100", step=FIVE_MINUTES), candle(1, "100", step=FIVE_MINUTES)])
    view = seen(life.state, {BTC: walk(seed=3), ETH: walk(seed=4, price=0.02, places=8)})
    said = Sentiment(symbol=BTC, score=Decimal("-1.25"), items=3, age_minutes=42)
    return snapshot(life.state, view, [BTC, ETH], template, [said])


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_the_static_part_comes_first_and_is_the_same_for_every_request(template: str) -> None:
    """So that a provider can keep it."""
    one = render(template, 1, shown(walk(seed=1), template=template))
    other = render(template, 1, _two_symbols(template))
    assert [message.role for message in one] == ["system", "user"]
    assert one[0] == other[0] == Message("system", static_part(template, 1))
    assert one[1] != other[1]
    assert str(BTC) not in one[0].content


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_a_prompt_is_rendered_from_its_snapshot_and_nothing_else(template: str) -> None:
    found = _two_symbols(template)
    again = msgspec.json.decode(msgspec.json.encode(found), type=Snapshot)
    assert render(template, 1, found) == render(template, 1, again)
    assert f"snapshot: {digest(found)}\n" in render(template, 1, found)[1].content


def test_every_section_of_the_audited_prompt_is_there() -> None:
    told = render("trader", 1, _two_symbols("trader"))[1].content
    for section in (
        "sentiment",
        "narrative",
        "indicators",
        "higher",
        "pain_trade",
        "alpha_setups",
        "fair_value_gaps",
        "portfolio",
        "position",
        "closed_trade",
        "memory",
    ):
        assert re.search(rf"^{section}: \S", told, re.MULTILINE), section
    assert "sentiment: score=-1.25 items=3 age_minutes=42" in told
    assert "position: symbol=BTC/USDT side=long" in told
    assert "plan: stop=98 target=104" in told


def test_each_section_that_is_shown_is_explained() -> None:
    lines = render("trader", 1, _two_symbols("trader"))[1].content.splitlines()
    names = {line.partition(":")[0].partition(" ")[0] for line in lines if ":" in line and not line.startswith("#")}
    told = static_part("trader", 1)
    assert len(names) > 15
    assert {name for name in names if name not in told} <= {"timeframe", "instrument"}


def test_every_series_says_its_order() -> None:
    """A model read an unlabelled series the wrong way round."""
    lines = render("market", 1, shown(walk()))[1].content.splitlines()
    series = [line for line in lines if line.startswith("series ")]
    assert len(series) == 4
    assert all(" (oldest first): " in line and len(line.partition(": ")[2].split()) == 10 for line in series)
    assert "oldest first" in static_part("market", 1)


def test_the_market_template_says_nothing_of_an_account() -> None:
    told = _text(render("market", 1, _two_symbols("market")))
    for word in ("equity=", "portfolio", "position:", "memory", "closed_trade", "drawdown"):
        assert word not in told


def test_what_is_unknown_says_so() -> None:
    told = render("market", 1, shown(walk()))[1].content
    assert "sentiment: unavailable" in told
    assert "None" not in told
    assert "nan" not in told.lower()


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_the_prompt_says_what_the_schema_asks_for(template: str) -> None:
    """A prompt that names what no parser knows makes a model invent."""
    told = static_part(template, 1)
    for name in (*Decision.__struct_fields__, *AnswerForm.__struct_fields__):
        assert f'"{name}"' in told
    assert "|".join(ACTIONS) in told
    for bound in (WEIGHT_MAX, REASON_LETTERS_MAX, SYMBOLS_MAX):
        assert str(bound) in told
    assert f'"schema": "{template}/1"' in told
    for word in ("quantity", "stop_loss", "take_profit", "order_type"):
        assert word not in told


def test_an_answer_in_the_form_that_the_prompt_shows_is_read() -> None:
    found = shown(walk())
    form = static_part("market", 1).split("\n\n")[-1]
    skeleton = form[form.index("{") : form.index("\n]}") + 3]
    raw = skeleton.replace("<the snapshot's id, repeated>", digest(found)).replace("<one of the symbols shown>", BTC)
    answer = read_answer(raw.replace("hold|long|short|reduce|close", "hold"), asked_for(found))
    assert isinstance(answer, Answer)
    assert [opinion.action for opinion in answer.opinions] == ["hold"]


def test_a_snapshot_is_not_rendered_as_what_it_was_not_made_for() -> None:
    found = shown(walk())
    for template, version in (("trader", 1), ("market", 2), ("gossip", 1)):
        with pytest.raises(UnknownTemplate):
            render(template, version, found)


def test_a_prompt_of_sixteen_symbols_is_short_enough() -> None:
    """About three letters are a token: sixteen symbols fit into 16,000 of them."""
    names = [spot(type(BTC)(f"COIN{number:02}/USDT")) for number in range(SYMBOLS_MAX)]
    state = bot(creation(*names, timeframe="5m"))
    view = seen(state, {known.symbol: walk(seed=number) for number, known in enumerate(names)})
    found = snapshot(state, view, [known.symbol for known in names], "market")
    assert len(found.symbols) == SYMBOLS_MAX
    assert len(_text(render("market", 1, found))) < 48_000


def test_only_plain_letters_are_in_a_prompt() -> None:
    assert set(_text(render("trader", 1, _two_symbols("trader")))) <= {"\n", *map(chr, range(32, 127))}


def test_prompts_of_a_version_are_rendered_as_ever() -> None:
    """What a recorded answer was asked with must be found again; other words need a new version."""
    kept = msgspec.json.decode(GOLDEN.read_bytes(), type=list[Kept])
    assert {(known.template, known.version) for known in kept} == {
        (template, version) for template, versions in TEMPLATES.items() for version in versions
    }
    for known in kept:
        assert digest(known.snapshot) == known.digest
        assert list(render(known.template, known.version, known.snapshot)) == known.messages
