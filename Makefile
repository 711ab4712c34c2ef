# `make demo` and `make test` install what they need into .venv by themselves.
# `make demo PYTHON=/path/to/python` uses the torch (CUDA, say) which that interpreter has.

# Threads that wait asleep: on a busy machine, spinning ones cost a factor of ten.
export OMP_WAIT_POLICY ?= PASSIVE

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LINT_STAMP := $(VENV)/.lint-installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SETUP := pyproject.toml setup.py constraints.txt
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'

.PHONY: demo test test-gpu lint clean

demo: $(STAMP)
	$(BIN)/mgenv demo

test: $(STAMP)
	$(BIN)/python -m pytest

# For example `make test-gpu PYTHON=/path/to/python`, whose torch has CUDA.
test-gpu: $(STAMP)
	$(BIN)/python -m pytest -m gpu

lint: $(LINT_STAMP)
	$(BIN)/ruff check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright
	$(BIN)/lint-imports --no-cache

clean:
	rm -rf $(VENV) build dist *.egg-info

# Without PYTHON: the first Python that is new enough, and the pinned torch. With it: its torch.
ifeq ($(origin PYTHON),undefined)
FIND := for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	if $$p $(NEW_ENOUGH) 2>/dev/null; then echo $$p; break; fi; done
PYTHON := $(shell $(FIND))
TORCH := $(PIP) -c constraints.txt torch==2.13.0
else
TORCH_FOLDER := -c 'import pathlib, torch; print(pathlib.Path(torch.__file__).parents[1])'
PACKAGES := $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
TORCH := $(PYTHON) $(TORCH_FOLDER) > "$$($(PACKAGES))/shared_torch.pth" \
	|| { echo "$(PYTHON) has no torch; without PYTHON= one is installed" >&2; exit 1; }
endif

$(STAMP): $(SETUP)
	@$(PYTHON) $(NEW_ENOUGH) || { echo "Python 3.11 or newer is needed; set PYTHON=" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(TORCH)
	grep -v '^torch==' constraints.txt > $(VENV)/constraints.txt
	$(PIP) -c $(VENV)/constraints.txt -e '.[test]'
	touch $@

$(LINT_STAMP): $(STAMP)
	$(PIP) -c $(VENV)/constraints.txt -e '.[lint]'
	touch $@
