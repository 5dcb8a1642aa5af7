"""What is logged is for operators to read and to keep, so no secret may be in it."""

import json
import subprocess
import sys

FAILING = """
import structlog
from oxbot.logs import configure_logs

configure_logs("warning")
def connect(dsn):
    raise OSError("no answer")
try:
    connect("postgresql://bot:hunter2@example.invalid/oxbot")
except OSError:
    structlog.get_logger().exception("resident_failed")
"""


def test_a_traceback_is_logged_without_the_variables_of_its_frames() -> None:
    finished = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, timeout=60, check=True)
    logged = json.loads(finished.stderr)
    assert logged["exception"][0]["exc_type"] == "OSError"
    assert [frame["name"] for frame in logged["exception"][0]["frames"]] == ["<module>", "connect"]
    assert "hunter2" not in finished.stderr
