"""What a process imports is what it needs: memory is per process, and hosts are many."""

import subprocess
import sys


def test_a_host_behind_a_gateway_does_not_load_a_database_driver() -> None:
    """Asyncpg alone is 16 MB of each process."""
    script = "import sys, actors.bot_host, oxbot.wiring.host; sys.exit('asyncpg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0
