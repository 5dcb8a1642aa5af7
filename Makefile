# oxbot: make demo shows it, make test proves it, make soak does so for ten minutes of crashes
# and 10,000 lives of the books;
# nothing else has to be installed by hand.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test soak check format benchmarks clean

demo: $(VENV)/installed
	$(BIN)/oxbot demo $(if $(DEMO_EXIT),--exit)

test: check
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile

soak: $(VENV)/installed
	$(BIN)/python -m pytest tests/simulation/test_chaos.py --chaos-seconds 600
	$(BIN)/python -m pytest tests/core/test_ledger_machine.py --ledger-sequences 10000 --timeout 7200

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmarks: $(VENV)/installed
	$(BIN)/python -m benchmarks append
	$(BIN)/python -m benchmarks gateway
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
