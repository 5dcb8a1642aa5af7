"""Wrong passwords are told one by one at first, and together while they go on."""

from oxbot.app.failed_sign_ins import AT_ONCE, PERIOD_SECONDS, FailedSignIns
from oxbot.core.account import UserId

ANN, BOB = UserId("ann"), UserId("bob")


def test_the_first_are_told_at_once_and_the_others_together_when_their_time_is_over() -> None:
    seconds = [0.0]
    failed = FailedSignIns(lambda: seconds[0])

    assert [failed.count(ANN) for _ in range(AT_ONCE + 4)] == [1] * AT_ONCE + [0] * 4
    assert failed.count(BOB) == 1
    assert failed.due() == {}
    seconds[0] = PERIOD_SECONDS
    assert failed.due() == {ANN: 4}
    assert failed.due() == {}
    assert failed.count(ANN) == 1


def test_one_that_comes_after_the_time_brings_those_before_it() -> None:
    seconds = [0.0]
    failed = FailedSignIns(lambda: seconds[0])
    for _ in range(AT_ONCE + 2):
        failed.count(ANN)
    seconds[0] = PERIOD_SECONDS

    assert failed.count(ANN) == 3
    assert failed.take(ANN) == 0


def test_a_success_takes_what_is_untold_and_begins_again() -> None:
    failed = FailedSignIns(lambda: 0.0)
    for _ in range(AT_ONCE + 2):
        failed.count(ANN)

    assert failed.take(ANN) == 2
    assert failed.count(ANN) == 1
    assert failed.due(all_of_them=True) == {}
