# `make help` lists the targets. All of them work in .venv, which is made on
# first use and brought up to date whenever pyproject.toml or setup.py changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist worksteal --durations 20

.PHONY: help demo test test-thorough check-gpu check bench-layers bench-learning bench-memory bench-pipelines bench-seq2seq bench-survival bench-training bench-workers results-cells results-cmudict results-g2p results-g2p-yoyodyne results-synthetic results-translation
.DEFAULT_GOAL := help

help:  ## Show this help.
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST)

demo: $(VENV)/installed  ## Search, train, evaluate and export a model (about 4 minutes).
	$(BIN)/keras-recurrent demo

test: $(VENV)/installed  ## Run the tests.
	$(PYTEST) -m 'not thorough and not gpu'

test-thorough: $(VENV)/installed  ## Run the variants that `make test` leaves out, and properties with more examples.
	$(PYTEST) -m '(thorough or hypothesis) and not gpu' --hypothesis-profile thorough

check-gpu: $(VENV)/installed  ## Run what only a GPU shows: cuDNN, XLA, half precision, export, two replicas.
	$(BIN)/python -m pytest tests/test_on_gpu.py -rA --show-capture no --durations 0 --numprocesses 0

check: $(VENV)/installed  ## Lint, check the format and the types.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench-layers: $(VENV)/installed .bench/torch/installed  ## Race our layers against Keras's and PyTorch's (about 10 minutes).
	$(BIN)/python benchmarks/layers.py --torch .bench/torch/bin/python
	$(BIN)/python benchmarks/scan_cells.py

# Multi30k is for research and education only, so it does not come along.
MULTI30K ?= multi30k
bench-learning: $(VENV)/installed  ## See that every default learns (some hours; goes on where it was): MULTI30K=folder.
	$(BIN)/python -m pip install -qq 'sentencepiece>=0.2,<0.3'
	$(BIN)/python benchmarks/learning.py $(MULTI30K)

bench-memory: $(VENV)/installed  ## See what 50 trained models leave in memory (about 5 minutes).
	$(BIN)/python benchmarks/memory_growth.py

bench-pipelines: $(VENV)/installed .bench/joeynmt/installed  ## Race our batches against plain Python's, torch's and Joey NMT's, and see what five million pairs occupy (about 10 minutes): MULTI30K=folder.
	$(BIN)/python benchmarks/pipelines.py $(MULTI30K) --joeynmt .bench/joeynmt/bin/python

bench-seq2seq: $(VENV)/installed .bench/joeynmt/installed .bench/addons/installed  ## Race our encoder-decoder against Joey NMT's and tensorflow-addons'.
	$(BIN)/python benchmarks/seq2seq.py --joeynmt .bench/joeynmt/bin/python --addons .bench/addons/bin/python

bench-survival: $(VENV)/installed  ## Kill trainings and searches 70 times, and see that they end as if nothing had happened; time checkpoints (about 30 minutes).
	$(BIN)/python benchmarks/checkpoint_cost.py
	$(BIN)/python benchmarks/survival.py

# Nor do the files of SIGMORPHON 2020, which are share-alike.
SIGMORPHON ?= sigmorphon2020
bench-training: $(VENV)/installed .bench/joeynmt/installed .bench/yoyodyne/installed  ## Race our training against Joey NMT's and Yoyodyne's, by command (about an hour; goes on where it was): MULTI30K=folder SIGMORPHON=folder.
	$(BIN)/python -m pip install -qq 'sentencepiece>=0.2,<0.3'
	$(BIN)/python benchmarks/training.py --multi30k $(MULTI30K) --joeynmt .bench/joeynmt/bin/python --sigmorphon $(SIGMORPHON) --yoyodyne .bench/yoyodyne/bin/python

bench-workers: $(VENV)/installed  ## Train by one process of one core and by two (about 10 minutes): MULTI30K=folder.
	$(BIN)/python benchmarks/workers.py $(MULTI30K)

results-cells: $(VENV)/installed  ## All cells, attentions and queries of equal size on one language (some hours; goes on where it was): SIGMORPHON=folder.
	$(BIN)/python benchmarks/results/cells.py $(SIGMORPHON)

results-cmudict: $(VENV)/installed  ## Pronunciation of English words beside published figures (some hours; goes on where it was).
	$(BIN)/python benchmarks/results/cmudict.py

results-g2p: $(VENV)/installed  ## Pronunciation in eight languages beside published figures (about an hour; goes on where it was): SIGMORPHON=folder.
	$(BIN)/python benchmarks/results/g2p.py $(SIGMORPHON)

results-g2p-yoyodyne: $(VENV)/installed .bench/yoyodyne/installed  ## Yoyodyne on the same languages, by its defaults (goes on where it was): SIGMORPHON=folder.
	$(BIN)/python benchmarks/results/g2p_yoyodyne.py $(SIGMORPHON) --python .bench/yoyodyne/bin/python

results-synthetic: $(VENV)/installed  ## See that every cell learns to copy, to turn round, to read dates and to add (about an hour; goes on where it was).
	$(BIN)/python benchmarks/results/synthetic.py

results-translation: $(VENV)/installed  ## Translation from English to German and back beside published figures (some hours; goes on where it was): MULTI30K=folder.
	$(BIN)/python benchmarks/results/translation.py $(MULTI30K)

# Rivals live in environments of their own.
.bench/torch/installed:
	$(PYTHON) -m venv .bench/torch
	.bench/torch/bin/python -m pip install -qq torch==2.13.0 numpy
	@touch $@

.bench/joeynmt/installed:
	$(PYTHON) -m venv .bench/joeynmt
	.bench/joeynmt/bin/python -m pip install -qq torch==2.13.0 joeynmt==2.3.0 importlib_metadata 'sentencepiece==0.2.0'
	@touch $@

# Nothing here needs torchvision, and one made for another torch than the
# installed one (of a CPU) keeps torchmetrics from being imported.
.bench/yoyodyne/installed:
	$(PYTHON) -m venv .bench/yoyodyne
	.bench/yoyodyne/bin/python -m pip install -qq torch==2.13.0 yoyodyne==0.5.27
	.bench/yoyodyne/bin/python -m pip uninstall -qq --yes torchvision
	@touch $@

# For tensorflow-addons Python 3.11 is the newest.
.bench/addons/installed:
	$(PYTHON) -m venv .bench/addons
	.bench/addons/bin/python -m pip install -qq tensorflow-cpu==2.15.1 tensorflow-addons==0.23.0 'numpy<2'
	@touch $@

$(VENV)/installed: pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	|| { echo "Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is" \
	"$$($(PYTHON) --version 2>&1). Another one: make PYTHON=python3.12 ..."; \
	exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	|| { echo "$(PYTHON) cannot create virtual environments. On Debian and" \
	"Ubuntu: sudo apt install python3-venv"; exit 1; } >&2
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --upgrade pip
	@echo "Installing keras-recurrent and what it needs into $(VENV) ..."
	$(BIN)/python -m pip install -qq --editable '.[dev]'
	@touch $@
