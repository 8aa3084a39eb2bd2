# `make test` and `make quickstart` need only Python 3.11 or newer; both create .venv if necessary.
PYTHON ?= python3
BIN := .venv/bin

# In a separate process: after OpenVINO has compiled models, a process can crash when a data loader forks.
OPENVINO_TESTS := tests/training/test_openvino.py

.PHONY: test coverage docs examples quickstart format clean

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is `$(PYTHON) --version 2>&1`; Python 3.11 or newer is needed: make $(or $(MAKECMDGOALS),test) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[train,quickstart,dev,docs]"
	touch $@

test: .venv/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile --ignore $(OPENVINO_TESTS)
	OMP_NUM_THREADS=1 $(BIN)/pytest $(OPENVINO_TESTS)

coverage: .venv/.installed
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile --ignore $(OPENVINO_TESTS) --cov
	OMP_NUM_THREADS=1 $(BIN)/pytest $(OPENVINO_TESTS) --cov --cov-append --cov-report=term

# Build the documentation site in site/ from docs/, the docstrings and the notebooks, without the network.
docs: .venv/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Run the notebooks of examples/ and store their outputs.
examples: .venv/.installed
	OMP_NUM_THREADS=1 $(BIN)/python scripts/run_examples.py --write

quickstart: .venv/.installed
	$(BIN)/accelerate launch --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no scripts/train.py configs/quickstart.yaml --overwrite
	$(BIN)/python scripts/show_quickstart.py runs/quickstart/model
	$(BIN)/nlp-inference verify runs/quickstart/model
	@$(BIN)/nlp-training report runs/quickstart

format: .venv/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv runs dist site
