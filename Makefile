# make demo | test | lint | docs | bench. Each makes its own .venv on a fresh machine.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test lint docs bench clean

demo: $(INSTALLED)
	recipes/demo/hard_mining/run.sh --dir demo

test: $(INSTALLED)
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pylint speechkit

docs: $(INSTALLED)
	$(BIN)/mkdocs build --strict

bench: $(INSTALLED)
	$(BIN)/python benchmarks/bench_mining.py
	$(BIN)/python benchmarks/bench_cluster.py
	$(BIN)/python benchmarks/bench_xvector.py
	$(BIN)/python benchmarks/bench_prosody.py
	$(BIN)/python benchmarks/bench_resampling.py
	$(BIN)/python benchmarks/bench_fingerprint.py
	$(BIN)/python benchmarks/bench_separation.py
	$(BIN)/python benchmarks/bench_evaluation.py
	$(BIN)/python benchmarks/bench_gop.py
	$(BIN)/python benchmarks/bench_ctc_gop.py
	$(BIN)/python benchmarks/bench_pronunciation.py
	$(BIN)/python benchmarks/bench_acoustic.py
	$(BIN)/python benchmarks/bench_scoring.py
	$(BIN)/python benchmarks/bench_emotion.py

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv demo site
