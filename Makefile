# make demo   sets up, makes its own sounds, builds a model, generates 8 sounds
# make test   sets up and runs every quick check
# make slow   the slow checks: whole builds and kill tests
# make faults the full fault harness: kills, failed writes, fuzzed files (about two hours)
# make bench  how fast the parts are, beside what they could be compared with

PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
READY   = $(VENV)/.ready
DEMO   ?= demo

.PHONY: setup test lint slow faults demo bench clean

setup: $(READY)

# The lock pins the whole set; --no-deps keeps pip from asking for anything else.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Distill needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest -m "not slow"

slow: $(READY)
	$(BIN)/pytest -m slow

faults: $(READY)
	DISTILL_FAULTS=full $(BIN)/pytest -m slow tests/faults

demo: $(READY)
	$(BIN)/distill demo-sounds $(DEMO)/sounds
	$(BIN)/distill build $(DEMO)/sounds --name demo --preset quick --store $(DEMO)/store \
		--out $(DEMO)/demo.distill
	$(BIN)/distill generate $(DEMO)/demo.distill -n 8 --seed 1 --out $(DEMO)/new-sounds
	@echo
	@echo "Listen to   $(abspath $(DEMO))/new-sounds/*.wav"
	@echo "Read        $(abspath $(DEMO))/store/reports/demo.html   (open it in a browser)"

bench: $(READY)
	$(BIN)/python -m benchmarks.run

clean:
	rm -rf $(VENV) $(DEMO)
