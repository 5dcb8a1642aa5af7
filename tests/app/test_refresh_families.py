"""Refresh tokens: each has one follower, two pages at once are one person, and a thief is found out; over Postgres."""

import asyncio
import base64
import hmac
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.codec import Codec
from events.postgres import PostgresEventLog
from events.user import SessionEnd, SessionEnded
from oxbot.adapters.aes_gcm_subject_keys import AesGcmSubjectKeys
from oxbot.adapters.argon2_passwords import Argon2Passwords
from oxbot.adapters.memory_subject_keys import MemoryKeyTable
from oxbot.adapters.postgres_accounts import PostgresCredentials
from oxbot.adapters.postgres_sessions import PostgresSessions
from oxbot.app.accounts import Accounts, Credential
from oxbot.app.sessions import (
    GRACE,
    IDLE,
    LIFETIME,
    PREFIX,
    Family,
    Opened,
    RefreshRefused,
    RefreshReused,
    Sessions,
    StoredSession,
    digest,
    followers,
    new_secret,
    shown,
)
from oxbot.core.account import RecordSignIn, UserId, user_stream

START = datetime(2024, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Show(NamedTuple):
    """Somebody shows the token of this age, 0 for the newest, so many times at once."""

    age: int
    times: int = 1


class Pass(NamedTuple):
    """So much time passes."""

    time: timedelta


End = Literal["sign out", "another password"]
SHOWS = st.builds(Show, st.integers(0, 3), st.just(1)) | st.builds(Show, st.integers(0, 2), st.integers(2, 3))
PASSES = st.sampled_from([SECOND, GRACE - SECOND, GRACE, timedelta(hours=1), IDLE - SECOND, IDLE]).map(Pass)
STEPS = st.lists(st.one_of(SHOWS, SHOWS, SHOWS, PASSES, st.sampled_from(["sign out", "another password"])), max_size=16)


class Token(NamedTuple):
    """A token as the model knows it: which exchange of the family it came of, 0 for none."""

    text: str
    generation: int


class Model:
    """What must become of a family, told from the history of its exchanges alone."""

    def __init__(self, first: str, at: datetime) -> None:
        self.tokens = [Token(first, 0)]
        self.exchanged_first: dict[int, datetime] = {}
        self.begun = at
        self.over: SessionEnd | Literal["password"] | None = None

    def expects(self, token: Token, at: datetime) -> Literal["good", "reused", "over"]:
        """What a token leads to then."""
        last = max([self.begun, *self.exchanged_first.values()])
        if self.over or at >= self.begun + LIFETIME or at >= last + IDLE:
            return "over"
        first = self.exchanged_first.get(token.generation)
        if first is None:
            return "good"
        return "good" if token.generation + 1 == len(self.tokens) - 1 and at - first < GRACE else "reused"

    def took(self, token: Token, text: str, at: datetime) -> None:
        """It was exchanged for another, the same as ever."""
        self.exchanged_first.setdefault(token.generation, at)
        follower = Token(text, token.generation + 1)
        if follower.generation == len(self.tokens):
            self.tokens.append(follower)
        assert self.tokens[follower.generation] == follower
        assert len({token.text for token in self.tokens}) == len(self.tokens)


class House:
    """One account with one session, and the time of day."""

    def __init__(self, pool: asyncpg.Pool, number: int) -> None:
        self.at = START
        self.user_id, self.session_id = UserId(f"u{number}"), f"s{number}"
        self.log, self.credentials = PostgresEventLog(pool, Codec()), PostgresCredentials(pool)
        self.keys = AesGcmSubjectKeys(MemoryKeyTable(), bytes(32))
        self.accounts = Accounts(self.log, self.credentials, self.keys, Argon2Passwords(), now=self.now)
        self.store = PostgresSessions(pool)
        self.secrets = [bytes(range(32))]
        self.sessions = self.process()

    def now(self) -> datetime:
        """The time of day."""
        return self.at

    def process(self) -> Sessions:
        """The use cases as another process has them."""
        return Sessions(self.store, self.accounts, secrets=lambda: self.secrets, now=self.now)

    async def begin(self) -> str:
        """Begin the session, without the costly hash of a password; its first refresh token."""
        credential = Credential(
            user_id=self.user_id,
            username=self.user_id,
            role="trader",
            password_hash="$argon2id$x",  # noqa: S106
        )
        await self.credentials.add(credential, at=self.at)
        await self.accounts.settle(credential)
        await self.accounts.book.record(self.user_id, RecordSignIn(succeeded=True, session_id=self.session_id))
        session = StoredSession(
            session_id=self.session_id,
            user_id=self.user_id,
            device="",
            begun_at=self.at,
            expires_at=self.at + LIFETIME,
            rotated_at=self.at,
        )
        await self.store.begin(session, digest("first"))
        return "first"

    async def show(self, text: str) -> Opened | RefreshRefused:
        """What a refresh token leads to."""
        try:
            return await self.sessions.refresh(await self.sessions.of_token(text), text)
        except RefreshRefused as refused:
            return refused

    async def end(self, how: End) -> None:
        """Sign out, or set another password."""
        if how == "sign out":
            await self.sessions.sign_out(self.user_id, self.session_id, by="u")
            return
        changed = await self.credentials.change_hash(self.user_id, "$argon2id$y", at=self.at)
        assert changed is not None
        await self.accounts.settle(changed)

    async def ends(self) -> list[str]:
        """Why the log says that the session ended."""
        events = await self.log.read_stream(user_stream(self.user_id))
        return [event.fact.why for event in events if isinstance(event.fact, SessionEnded)]


@pytest.mark.anyio
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS)
async def test_whatever_is_shown_whenever_is_good_refused_or_found_out_as_its_history_says(
    pool: asyncpg.Pool, steps: list[Show | Pass | End]
) -> None:
    await pool.execute("TRUNCATE accounts.credentials CASCADE")
    house = House(pool, await pool.fetchval("SELECT count(*) FROM log.streams"))
    model = Model(await house.begin(), house.at)
    for step in steps:
        if isinstance(step, Pass):
            house.at += step.time
        elif isinstance(step, Show):
            await check_shown(house, model, step)
        else:
            await house.end(step)
            model.over = model.over or ("signed_out" if step == "sign out" else "password")
    listed = [session.session_id for session in await house.sessions.of(house.user_id)]
    living = model.expects(model.tokens[-1], house.at) != "over"
    assert listed == ([house.session_id] if living else [])
    assert await house.ends() == ([] if model.over in (None, "password") else [model.over])


async def check_shown(house: House, model: Model, step: Show) -> None:
    """Show a token, and hold what comes of it against the model."""
    token = model.tokens[max(0, len(model.tokens) - 1 - step.age)]
    expected = model.expects(token, house.at)
    answers = await asyncio.gather(*(house.show(token.text) for _ in range(step.times)))
    for answer in answers:
        match expected:
            case "good":
                assert isinstance(answer, Opened)
                assert (answer.session_id, answer.role) == (house.session_id, "trader")
                model.took(token, answer.refresh_token, house.at)
            case "reused":
                assert isinstance(answer, RefreshRefused)
                model.over = "refresh_reused"
            case "over":
                assert isinstance(answer, RefreshRefused)
    if expected == "reused":
        assert any(isinstance(answer, RefreshReused) for answer in answers)
        assert await house.ends() == ["refresh_reused"]


@given(gaps=st.lists(st.integers(30, 3600), min_size=2, max_size=8), first=st.booleans())
def test_of_two_who_hold_the_same_token_the_one_who_comes_second_is_found_out(gaps: list[int], first: bool) -> None:
    """Each shows the newest that was given to it."""
    family, at = Family(0, START, START + LIFETIME), START
    held = {"owner": 0, "thief": 0}
    found_out = 0
    for number, gap in enumerate(gaps):
        at += timedelta(seconds=gap)
        who = "owner" if (number % 2 == 0) == first else "thief"
        outcome, family = shown(family, held[who], at)
        found_out += outcome == "reused"
        held[who] = family.generation

    assert found_out == len(gaps) - 1
    assert family.reused


def test_a_session_ends_after_a_month_and_after_a_week_without_a_refresh() -> None:
    family = Family(3, START, START + LIFETIME)

    assert shown(family, 3, START + IDLE - SECOND).outcome == "exchanged"
    assert shown(family, 3, START + IDLE).outcome == "over"
    late = family._replace(rotated_at=START + LIFETIME - SECOND)
    assert shown(late, 3, START + LIFETIME).outcome == "over"


@pytest.fixture
async def house(pool: asyncpg.Pool) -> House:
    """An account; its session is still to be begun."""
    return House(pool, 0)


def follower_of(answer: Opened | RefreshRefused) -> str:
    """What a token was exchanged for."""
    assert isinstance(answer, Opened), answer
    return answer.refresh_token


@pytest.mark.anyio
@pytest.mark.parametrize("times", [2, 5, 12])
async def test_all_who_show_one_token_at_once_in_whichever_process_get_the_same_follower(
    house: House, times: int
) -> None:
    first = await house.begin()
    session = await house.sessions.of_token(first)
    answers = await asyncio.gather(*(house.process().refresh(session, first) for _ in range(times)))
    (second,) = {follower_of(answer) for answer in answers}

    assert second != first
    assert follower_of(await house.show(second)) not in (first, second)
    assert await house.ends() == []


@pytest.mark.anyio
async def test_an_owner_and_a_thief_who_both_used_a_token_hold_the_same_one_and_the_second_to_show_it_is_found_out(
    house: House,
) -> None:
    """The stranger's: each had a living token of his own, and both went on for ever."""
    stolen = await house.begin()
    owners = follower_of(await house.show(stolen))
    house.at += timedelta(seconds=5)
    assert follower_of(await house.show(stolen)) == owners
    house.at += timedelta(seconds=34)
    third = follower_of(await house.show(owners))
    house.at += timedelta(seconds=34)

    assert isinstance(await house.show(owners), RefreshReused)
    assert isinstance(await house.show(third), RefreshRefused)
    assert await house.ends() == ["refresh_reused"]


@pytest.mark.anyio
async def test_a_token_is_over_as_soon_as_its_follower_was_used_however_soon_that_is(house: House) -> None:
    first = await house.begin()
    await house.show(follower_of(await house.show(first)))

    assert isinstance(await house.show(first), RefreshReused)
    assert await house.ends() == ["refresh_reused"]


@pytest.mark.anyio
async def test_a_lost_answer_is_given_again_though_the_secret_has_another_in_its_place_since(house: House) -> None:
    first = await house.begin()
    second = follower_of(await house.show(first))
    house.secrets = [bytes(range(1, 33)), *house.secrets]

    assert follower_of(await house.show(first)) == second
    assert follower_of(await house.show(second)) != second


@pytest.mark.anyio
async def test_whoever_comes_first_under_a_new_secret_is_followed_by_those_who_had_the_old_one_in_hand(
    house: House,
) -> None:
    """Two processes, of which one reads the new key a moment before the other does."""
    first = await house.begin()
    session = await house.sessions.of_token(first)
    old, new = house.secrets, [bytes(range(1, 33)), *house.secrets]
    asked = iter([old, new])
    late = Sessions(house.store, house.accounts, secrets=lambda: next(asked), now=house.now)
    house.secrets = new
    second = follower_of(await house.show(first))

    assert (await late.refresh(session, first)).refresh_token == second


@pytest.mark.anyio
async def test_what_was_made_under_a_secret_that_was_thrown_away_is_given_to_nobody_and_accuses_nobody(
    house: House,
) -> None:
    first = await house.begin()
    second = follower_of(await house.show(first))
    house.secrets = [bytes(range(1, 33))]
    refused = await house.show(first)

    assert isinstance(refused, RefreshRefused)
    assert not isinstance(refused, RefreshReused)
    assert follower_of(await house.show(second))


def test_nobody_tells_a_follower_without_the_secret() -> None:
    one, other = bytes(range(32)), bytes(range(1, 33))

    assert followers("oxr_a", [one, other]) == [*followers("oxr_a", [one]), *followers("oxr_a", [other])]
    made = {*followers("oxr_a", [one, other]), *followers("oxr_b", [one, other])}
    assert len(made) == 4
    assert all(text.startswith(PREFIX) and len(text) == len(new_secret(PREFIX)) for text in made)
    # Nor does a key that signs access tokens make one: the label is in between.
    plain = base64.urlsafe_b64encode(hmac.digest(one, b"oxr_a", "sha256")).rstrip(b"=").decode()
    assert PREFIX + plain not in made


@pytest.mark.anyio
async def test_no_refresh_lengthens_a_session_beyond_its_month(house: House) -> None:
    token = await house.begin()
    while house.at < START + LIFETIME - timedelta(days=6):
        house.at += timedelta(days=6)
        answer = await house.show(token)
        token = follower_of(answer)
        assert isinstance(answer, Opened)
        assert answer.expires_at == START + LIFETIME
    house.at = START + LIFETIME

    assert isinstance(await house.show(token), RefreshRefused)
