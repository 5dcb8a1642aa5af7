"""The exchange's journal: what was flushed is there after any end of the process, and nothing else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxbot.exchange.engine import Exchange
from oxbot.exchange.journal import Journal, UnfitJournal
from oxbot.exchange.model import AccountSpec, PlaceOrder, Refused, Settings
from tests.exchange.engine_scenario import KEY, SPOT, SPOT_PAIR, START, candle, number

MINUTE = 60_000


def begin(exchange: Exchange) -> None:
    exchange.list_instrument(SPOT_PAIR, START)
    exchange.open_account(AccountSpec(name="a", keys=(KEY,)), START)
    exchange.deposit("a", "USDT", number("10000"), START)
    exchange.set_price(SPOT, number("50000"), START)


def buy(exchange: Exchange, at: int, size: str = "0.001") -> None:
    request = PlaceOrder(
        inst_id=SPOT, trade_mode="cash", side="buy", order_type="limit", size=number(size), price=number("49000")
    )
    assert not isinstance(exchange.place("a", request, at), Refused)


def newest(directory: Path, kind: str) -> Path:
    return max(directory.glob(f"{kind}-*"))


def test_a_restart_finds_the_state_of_before_byte_for_byte(tmp_path: Path) -> None:
    with Journal(tmp_path, Settings()) as journal:
        begin(journal.exchange)
        journal.exchange.feed(SPOT, candle(1, "50000 50900 48000 50500"), MINUTE, START)
        buy(journal.exchange, START + 5)
        journal.exchange.advance(START + 10 * MINUTE)
        before = journal.exchange.snapshot()
    with Journal(tmp_path, Settings()) as journal:
        assert journal.exchange.snapshot() == before
        assert len(journal.exchange.fills("a")) == 1
        assert journal.exchange.drain() == []
        buy(journal.exchange, START + 11 * MINUTE)
        before = journal.exchange.snapshot()
    with Journal(tmp_path, Settings()) as journal:
        assert journal.exchange.snapshot() == before


def test_what_was_not_flushed_never_happened(tmp_path: Path) -> None:
    journal = Journal(tmp_path, Settings())
    begin(journal.exchange)
    journal.flush()
    before = journal.exchange.digest()
    buy(journal.exchange, START + 1)
    assert journal.dirty
    with Journal(tmp_path, Settings()) as again:
        assert again.exchange.digest() == before


def test_a_refused_command_leaves_nothing_in_the_journal(tmp_path: Path) -> None:
    with Journal(tmp_path, Settings()) as journal:
        begin(journal.exchange)
        journal.flush()
        assert isinstance(journal.exchange.deposit("a", "USDT", number("-20000"), START + 5), Refused)
        journal.exchange.advance(START + 6)
        assert not journal.dirty


def test_time_that_is_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    with Journal(tmp_path, Settings()) as journal:
        journal.exchange.advance(START, keep=True)
    with Journal(tmp_path, Settings()) as journal:
        assert journal.exchange.now == START


@given(cut=st.integers(1, 200))
def test_a_torn_tail_is_cut_and_the_whole_records_before_it_stay(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("torn")
    journal = Journal(directory, Settings())
    digests = []
    sizes = []
    begin(journal.exchange)
    for at in range(1, 6):
        journal.flush()
        digests.append(journal.exchange.digest())
        sizes.append(newest(directory, "journal").stat().st_size)
        buy(journal.exchange, START + at)
    journal.close()
    path = newest(directory, "journal")
    torn = path.stat().st_size - cut
    with path.open("r+b") as file:
        file.truncate(torn)
    with Journal(directory, Settings()) as again:
        whole = max(index for index, size in enumerate(sizes) if size <= torn) if torn >= sizes[0] else None
        if whole is not None:
            assert again.exchange.digest() == digests[whole]
            assert again.cut_bytes == torn - sizes[whole]
        buy_again = again.exchange.digest()
    with Journal(directory, Settings()) as again:
        assert (again.exchange.digest(), again.cut_bytes) == (buy_again, 0)


@pytest.mark.parametrize("tail", [b"\0" * 64, b"garbage that is no record", b"\0\0\0\x05\0\0\0\0hello"])
def test_what_is_no_record_at_the_end_is_dropped(tail: bytes, tmp_path: Path) -> None:
    with Journal(tmp_path, Settings()) as journal:
        begin(journal.exchange)
        before = journal.exchange.digest()
    with newest(tmp_path, "journal").open("ab") as file:
        file.write(tail)
    with Journal(tmp_path, Settings()) as journal:
        assert (journal.exchange.digest(), journal.cut_bytes) == (before, len(tail))


def test_a_snapshot_takes_the_place_of_the_journal_before_it(tmp_path: Path) -> None:
    with Journal(tmp_path, Settings(), snapshot_every=10) as journal:
        begin(journal.exchange)
        for at in range(1, 36):
            buy(journal.exchange, START + at)
            journal.flush()
        before = journal.exchange.digest()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "journal-00000004",
        "settings.json",
        "snapshot-00000004",
    ]
    with Journal(tmp_path, Settings(), snapshot_every=10) as journal:
        assert journal.exchange.digest() == before


def test_a_snapshot_without_its_journal_is_enough(tmp_path: Path) -> None:
    """The process may die between the two."""
    with Journal(tmp_path, Settings(), snapshot_every=1) as journal:
        begin(journal.exchange)
        before = journal.exchange.digest()
    newest(tmp_path, "journal").unlink()
    (tmp_path / "snapshot-00000009.new").write_bytes(b"half a snapshot")
    (tmp_path / "journal-00000000").write_bytes(b"from before")
    with Journal(tmp_path, Settings()) as journal:
        assert journal.exchange.digest() == before
    assert not (tmp_path / "journal-00000000").exists()


def test_a_damaged_snapshot_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path, Settings(), snapshot_every=1) as journal:
        begin(journal.exchange)
    path = newest(tmp_path, "snapshot")
    written = bytearray(path.read_bytes())
    written[-1] ^= 1
    path.write_bytes(bytes(written))
    with pytest.raises(UnfitJournal, match="damaged"):
        Journal(tmp_path, Settings())


def test_a_journal_is_refused_under_other_settings(tmp_path: Path) -> None:
    Journal(tmp_path, Settings(seed=1)).close()
    with pytest.raises(UnfitJournal, match="other settings"):
        Journal(tmp_path, Settings(seed=2))


def test_an_account_that_is_opened_again_only_changes_its_keys(tmp_path: Path) -> None:
    with Journal(tmp_path, Settings()) as journal:
        begin(journal.exchange)
        buy(journal.exchange, START + 1)
        journal.exchange.open_account(AccountSpec(name="a", keys=()), START + 2)
        assert journal.exchange.api_key(KEY.key) is None
        assert len(journal.exchange.orders_pending("a")) == 1
        journal.exchange.open_account(AccountSpec(name="a", keys=(KEY,)), START + 3)
        found = journal.exchange.api_key(KEY.key)
        assert found is not None
        assert (found[0].name, found[1].secret) == ("a", KEY.secret)
