"""An audit's report in words, with what it does not prove."""

from oxbot.app.audit_verify import AuditReport


def describe(report: AuditReport) -> str:
    """The report, the problems, the verdict and its limits, a line each."""
    return "".join(f"{line}\n" for line in [*_facts(report), *_verdict(report), *_limits(report)])


def printable(text: str) -> str:
    """The text without what could steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _facts(report: AuditReport) -> list[str]:
    signatures = "signatures checked" if report.signatures_checked else "signatures not checked"
    return [
        f"log: {report.origin}",
        f"events: {report.events}, positions {report.first} to {report.last}, of {report.streams} streams",
        f"checkpoints: {report.checkpoints} recorded, {signatures}; they hold for {report.signed} events",
        f"kept outside of the database: a checkpoint that holds for {report.anchored} events"
        if report.anchored
        else "kept outside of the database: no checkpoint that holds",
        f"clock: {report.clock_steps_back} events were recorded at an earlier time than the event before them",
        f"root: {report.root}",
        *_cache(report),
    ]


def _cache(report: AuditReport) -> list[str]:
    if not report.nodes_missing:
        return []
    what = f"log.subtrees lacks {report.nodes_missing} of the inner nodes that proofs need; no event is touched by it"
    return [f"{what}: empty that table, and the sealer makes it again from the leaves when it next starts"]


def _verdict(report: AuditReport) -> list[str]:
    if not report.problems:
        return ["verified: no problem found"]
    found = [
        printable(what) if position is None else f"position {position}: {printable(what)}"
        for position, what in report.problems
    ]
    first = report.problems[0].position
    if first is None:
        return [*found, "NOT VERIFIED: no event is bad, but what is kept beside them is"]
    return [*found, f"NOT VERIFIED: the first bad position is {first}"]


def _limits(report: AuditReport) -> list[str]:
    limits = ["that an event was recorded at all, or that it was true when it was"]
    if report.first > 1:
        limits.append(f"anything about the events up to position {report.first - 1}, which were not read")
    if report.ids_from > report.first:
        limits.append(
            f"that the table of event ids still holds those of the archived events up to {report.ids_from - 1}"
        )
    if report.anchored < report.last:
        limits.append(
            f"that the events after position {report.anchored} were never cut off or rewritten together with their "
            "hashes: no checkpoint kept outside of the database covers them"
        )
    if not report.signatures_checked:
        limits.append("who signed the checkpoints: no key was given")
    limits.append("the honesty of whoever holds the signing key")
    return [f"not proven: {limit}" for limit in limits]
