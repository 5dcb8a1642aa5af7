# oxbot: make demo shows it, make test proves it, make soak does so for ten minutes of crashes,
# 10,000 lives of the books, 200,000 candles of the worst advice, 3,000 and 300 lives of the execution of orders, and
# 300 requests made up for each operation of the API;
# nothing else has to be installed by hand.

PYTHON ?= python3
# Compiled modules are kept, whatever the shell says: hundreds of processes import them.
export PYTHONDONTWRITEBYTECODE :=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test soak check format benchmarks browser clean

demo: $(VENV)/installed
	$(BIN)/oxbot demo $(if $(DEMO_EXIT),--exit)

test: check browser
	$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

soak: $(VENV)/installed
	$(BIN)/python -m pytest tests/simulation/test_chaos.py --chaos-seconds 600
	$(BIN)/python -m pytest tests/core/test_ledger_machine.py --ledger-sequences 10000 --hypothesis-profile random --timeout 7200
	$(BIN)/python -m pytest tests/api tests/app tests/core tests/events tests/exchange --hypothesis-profile random --timeout 7200
	$(BIN)/python -m pytest tests/core/test_worst_advice.py --advice-steps 200000 --timeout 7200
	$(BIN)/python -m pytest tests/simulation/test_execution_faults.py --execution-runs 3000 --timeout 7200
	$(BIN)/python -m pytest tests/simulation/test_live_faults.py --live-fault-runs 300 --timeout 7200
	OXBOT_TEST_API_EXAMPLES=300 $(BIN)/python -m pytest tests/api/test_schemathesis.py --timeout 7200

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tests of the dashboard look at it in Chromium, which is Debian's package and no Python one.
browser:
	@command -v chromium > /dev/null || { apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends chromium; }

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmarks: $(VENV)/installed
	$(BIN)/python -m benchmarks api
	$(BIN)/python -m benchmarks append
	$(BIN)/python -m benchmarks gateway
	$(BIN)/python -m benchmarks models
	$(BIN)/python -m benchmarks read
	$(BIN)/python -m benchmarks rebuild
	$(BIN)/python -m benchmarks strategy
	$(BIN)/python -m benchmarks verify
	$(BIN)/python -m benchmarks demo

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf $(VENV)
