"""How many requests an address and an account may make, what answers say of it, and who is not held up by whom."""

import pytest

from oxbot.api.app import create_app
from oxbot.api.options import ApiOptions
from oxbot.api.rate_limit import REMEMBERED_MAX, RequestLimit, network_of
from tests.api.stage import Stage, problem, running

pytestmark = pytest.mark.anyio

BOTS = "/api/v1/bots"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limited(*, user: float = 0, address: float = 0) -> Stage:
    """The API with these limits."""
    stage = Stage()
    options = ApiOptions(user_requests_per_second=user, address_requests_per_second=address)
    stage.app = create_app(stage.open_services, options)
    return stage


def test_there_is_room_for_ten_seconds_worth_at_once_and_then_at_the_rate() -> None:
    clock = Clock()
    limit = RequestLimit(2, clock)

    verdicts = [limit.take("a") for _ in range(21)]

    assert limit.quota == 20
    assert [one.passes for one in verdicts] == [True] * 20 + [False]
    assert [one.remaining for one in verdicts] == [*range(19, -1, -1), 0]
    assert verdicts[0].reset_seconds == pytest.approx(0.5)
    assert verdicts[-1].wait_seconds == pytest.approx(0.5)
    clock.now += 0.5
    assert limit.take("a").passes
    assert not limit.take("a").passes
    clock.now += 100
    assert limit.take("a").remaining == 19


def test_refused_requests_cost_nothing_and_others_have_their_own_room() -> None:
    clock = Clock()
    limit = RequestLimit(1, clock)
    for _ in range(50):
        limit.take("a")

    assert limit.take("b").remaining == 9
    clock.now += 1
    assert limit.take("a").passes


@pytest.mark.parametrize("rate", [0.05, 0.3, 7.7, 100, 333.3])
def test_at_no_rate_does_anybody_get_more_than_it(rate: float) -> None:
    clock = Clock()
    limit = RequestLimit(rate, clock)
    passed = 0
    for _ in range(3000):
        clock.now += 1 / 90
        passed += limit.take("a").passes

    assert passed <= rate * 3000 / 90 + max(1, rate * 10) + 1
    assert passed >= min(2900, rate * 3000 / 90 - 1)


def test_what_is_remembered_is_bounded() -> None:
    limit = RequestLimit(1, Clock())
    for number in range(REMEMBERED_MAX + 5):
        limit.take(str(number))

    assert limit.take("0").remaining == 9
    assert limit.take(str(REMEMBERED_MAX + 4)).remaining == 8


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("not:an:address", "not:another", False),
    ],
)
def test_whoever_has_a_network_has_all_its_addresses(one: str, other: str, *, together: bool) -> None:
    assert (network_of(one) == network_of(other)) is together


async def test_answers_say_how_much_room_there_is_and_429_when_to_come_back() -> None:
    async with running(limited(user=0.3)) as stage, stage.client("viewer") as client:
        answers = [await client.get(BOTS) for _ in range(4)]

    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"user";q=3;w=10'
    assert answers[0].headers["ratelimit"] == '"user";r=2;t=4'
    assert problem(answers[-1], 429, "too-many-requests")
    assert answers[-1].headers["ratelimit"].startswith('"user";r=0;')
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 4


async def test_an_account_has_one_room_for_all_its_tokens_and_not_that_of_others() -> None:
    async with running(limited(user=0.1)) as stage:
        async with stage.client("viewer", user="a") as first, stage.client("trader", user="a") as second:
            assert [(await client.get(BOTS)).status_code for client in (first, second)] == [200, 429]
        async with stage.client("viewer", user="b") as other:
            assert (await other.get(BOTS)).status_code == 200


async def test_strangers_are_held_up_by_address_before_their_token_is_looked_at() -> None:
    async with running(limited(address=0.2)) as stage, stage.client(token="x.y.z") as client:  # noqa: S106
        answers = [await client.get(BOTS) for _ in range(3)]

    assert [one.status_code for one in answers] == [401, 401, 429]
    assert answers[0].headers["ratelimit-policy"] == '"address";q=2;w=10'


async def test_the_fleet_overview_at_50_requests_a_second_passes_with_what_is_set_by_default() -> None:
    clock = Clock()
    limits = [RequestLimit(ApiOptions().user_requests_per_second, clock)]
    limits.append(RequestLimit(ApiOptions().address_requests_per_second, clock))
    for _ in range(50 * 60):
        clock.now += 1 / 50
        assert all(limit.take("a").passes for limit in limits)


async def test_without_limits_nothing_is_said_of_any() -> None:
    async with running(limited()) as stage, stage.client("viewer") as client:
        answers = [await client.get("/healthz") for _ in range(30)]

    assert {one.status_code for one in answers} == {200}
    assert "ratelimit" not in answers[0].headers
