# `make demo` and `make test` are all a newcomer needs; each installs what is missing.
SHELL := /bin/sh
BIN := .venv/bin

.PHONY: demo viewer test check bench accuracy chaos fuzz format clean

demo:  ## hub, broker, database and twelve simulated beds on http://127.0.0.1:8000/
	@sh scripts/setup.sh demo
	@$(BIN)/ctg-hub demo

viewer:  ## the desktop console on the same hub
	@sh scripts/setup.sh viewer
	@$(BIN)/ctg-viewer --hub http://127.0.0.1:8000

# Tests that do not look at how late something is share both cores; the others run one by one, and beside them
# a region has its database away for 5 min (R7), which takes no more time than they do.
BOTH_CORES := $(addprefix tests/,acquisition alerts deploy device_sim dsp fuzz pipeline records report simulation \
	store training)

test: check  ## everything, with a real broker, database and browser
	@$(BIN)/pytest -n 2 --benchmark-disable $(BOTH_CORES)
	@sh scripts/beside.sh "$(BIN)/python -m chaos outage database --seconds 300" \
		$(BIN)/pytest --ignore=tests/benchmarks $(BOTH_CORES:%=--ignore=%)

check:  ## form, types and the direction of imports
	@sh scripts/setup.sh dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench:  ## speed and size of each part
	@sh scripts/setup.sh dev
	@OPENBLAS_NUM_THREADS=1 $(BIN)/pytest tests/benchmarks --benchmark-only --benchmark-columns=median,iqr,ops,rounds

MESSAGES ?= 10000000
KILLS ?= 1000

fuzz:  ## ten million broken messages at every decoder (R15); MESSAGES=… for fewer
	@sh scripts/setup.sh dev
	@$(BIN)/python -m chaos fuzz --messages $(MESSAGES)

chaos:  ## a thousand kills and freezes of agents, broker, hub and database (R1, R2); KILLS=… for fewer
	@sh scripts/setup.sh dev
	@$(BIN)/python -m chaos run --kills $(KILLS)

accuracy:  ## findings against expert marks, records of CTG_DATA; 6 min
	@sh scripts/setup.sh dev
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m training.accuracy

format:  ## put the code into its form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:  ## remove the virtual environment and the demo's data
	rm -rf .venv .demo build dist *.egg-info
