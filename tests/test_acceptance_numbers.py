"""Every acceptance test that the audited system left us has its number in the name of a test that shows it."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
NAMED = re.compile(r"^ *(?:async )?def test_acceptance_(\w\w)_", re.MULTILINE)
LAST = 20


def test_every_acceptance_test_is_found_by_its_number() -> None:
    found = {number for file in TESTS.rglob("test_*.py") for number in NAMED.findall(file.read_text())}
    assert found == {f"{number:02}" for number in range(1, LAST + 1)}
