"""An audit's report in words."""

import msgspec

from oxbot.app.audit_verify import AuditReport
from oxbot.app.audit_walk import Problem
from oxbot.cli.audit_words import describe

REPORT = AuditReport(
    origin="oxbot/test",
    first=1,
    last=17,
    events=17,
    streams=4,
    checkpoints=3,
    signed=14,
    anchored=14,
    signatures_checked=True,
    ids_from=1,
    clock_steps_back=0,
    nodes_missing=0,
    root="00",
    problems=(),
)


def test_what_is_wrong_at_no_position_is_said_without_one() -> None:
    told = describe(msgspec.structs.replace(REPORT, problems=(Problem(None, "log.identity is empty"),)))

    assert "\nlog.identity is empty\nNOT VERIFIED: no event is bad, but what is kept beside them is\n" in told
    assert "position 0" not in told


def test_the_first_bad_position_is_said_beside_what_is_wrong_at_none() -> None:
    problems = (Problem(4, "its content"), Problem(None, "log.identity is empty"))
    told = describe(msgspec.structs.replace(REPORT, problems=problems))

    assert "\nposition 4: its content\nlog.identity is empty\nNOT VERIFIED: the first bad position is 4\n" in told


def test_missing_inner_nodes_are_said_with_the_way_to_make_them_again_and_the_log_is_verified() -> None:
    told = describe(msgspec.structs.replace(REPORT, nodes_missing=3))

    assert "log.subtrees lacks 3 of the inner nodes that proofs need; no event is touched by it: empty that" in told
    assert "verified: no problem found" in told
    assert "log.subtrees" not in describe(REPORT)
