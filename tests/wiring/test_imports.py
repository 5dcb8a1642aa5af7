"""What a process imports is what it needs: memory is per process, and hosts are many."""

import subprocess
import sys


def test_a_host_behind_a_gateway_does_not_load_a_database_driver() -> None:
    """Asyncpg alone is 16 MB of each process."""
    script = "import sys, actors.bot_host, oxbot.wiring.host; sys.exit('asyncpg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0


def test_only_who_speaks_to_a_venue_or_to_people_loads_what_that_takes() -> None:
    """Ccxt is 70 MB of a process, and what it holds is not for a process that runs the strategies of others."""
    processes = "actors.bot_host, actors.supervisor, actors.fleet, actors.execution, actors.market, oxbot.wiring.api"
    script = f"import sys, {processes}; sys.exit('ccxt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0
    script = "import sys, actors.bot_host; sys.exit(bool({'apprise', 'cryptography'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0
