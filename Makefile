# Two commands that set themselves up: `make test` and `make demo`.
# Choose another interpreter with PYTHON=python3.12, another torch build with TORCH_INDEX=<address>.

PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
# One process per core; a file's tests stay together, since they share what they prepare.
# One that crashes ends the run: pytest-xdist may wait for ever after it has replaced one.
SPREAD := -n auto --dist loadfile --max-worker-restart=0
# The stamp is written last, so an interrupted set-up is done again.
STAMP := $(VENV)/.complete

.PHONY: help setup lint slurm test test-all test-slurm demo clean

help:
	@echo "make test      install, lint, type check, tests (not the slow ones)"
	@echo "make demo      install, then the worked example: calibrate, sweep, train, export, report"
	@echo "make test-all  make test with the slow tests"
	@echo "make test-slurm  sweeps as jobs of a real Slurm of two nodes, which root may install"
	@echo "make lint      ruff and pyright only"
	@echo "make clean     remove caches and build output; keeps $(VENV) and runs/"

$(STAMP): pyproject.toml constraints.txt .ci/setup
	@rm -f $@
	@PYTHON='$(PYTHON)' VENV='$(VENV)' TORCH_INDEX='$(TORCH_INDEX)' sh .ci/setup
	@touch $@

setup: $(STAMP)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# Root on Debian gets Slurm for the tests; everybody else is told what they skip.
slurm:
	@sh tests/slurm/install

test: lint slurm
	$(BIN)/python -m pytest $(SPREAD) -m "not slow"

test-all: lint slurm
	$(BIN)/python -m pytest $(SPREAD)

test-slurm: $(STAMP) slurm
	$(BIN)/python -m pytest tests/slurm

demo: $(STAMP)
	$(BIN)/twinml demo experiment=outbreak

clean:
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis *.egg-info
	find twinml tests experiments -name __pycache__ -type d -prune -exec rm -rf {} +
