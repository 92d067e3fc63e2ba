# Everything works from a fresh clone: each target makes the environment first if there is none.
#   PYTHON=python3.12 make env     another interpreter (3.10 to 3.13)
#   VENV=/path/of/env make demo    another environment; a compiled mmcv in it is kept and used

PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
DEMO := configs/det/vit_retinanet.py
OUT := work_dirs/vit_retinanet

.PHONY: help env demo test test-lora test-slow test-mmdet recipes atlas benchmark gpu lint lock clean

help:  ## these lines
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

env: $(VENV)/.ready  ## the environment: pinned packages and vitmm, in .venv

$(VENV)/.ready: requirements/lock.txt setup.py requirements/install.sh
	PYTHON="$(PYTHON)" requirements/install.sh "$(VENV)"
	@touch $@

$(VENV)/lora/.ready: $(VENV)/.ready requirements/lora.txt requirements/install_lora.sh
	requirements/install_lora.sh "$(VENV)"
	@touch $@

demo: env  ## train a ViT detector on the embedded data set, test it, draw what it finds
	$(PY) tools/train.py $(DEMO)
	$(PY) tools/test.py $(OUT)/vit_retinanet.py "$$(cat $(OUT)/last_checkpoint)" --show-dir $(OUT)/shown --show-interval 3
	@echo
	@echo "Drawn predictions (truth left, prediction right): $(OUT)/shown/*.jpg"

test: env test-lora  ## the test suite (15 to 20 minutes on 2 cores)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pytest

test-lora: $(VENV)/lora/.ready  ## LoRA's tests, with peft beside the environment
	$(VENV)/lora/bin/python -m pytest tests/models tests/tools -k lora

test-slow: env  ## what takes hours: mmdet's configs, every architecture, a swap per model file and task
	$(PY) -m pytest -m slow

test-mmdet: env  ## mmdet's own model tests on our operators (needs GitHub)
	PATH="$(abspath $(VENV))/bin:$$PATH" tests/compat/run_upstream_tests.sh mmdet

recipes: env  ## train every starter recipe and print the README's table (hours)
	$(PY) tools/prepare_data.py trees
	$(PY) tools/prepare_data.py weights
	$(PY) tools/recipes_table.py

atlas: env  ## measure every timm backbone and write docs/backbones.md (under 30 minutes)
	$(PY) tools/backbone_atlas.py

benchmark: env  ## the figures of docs/performance.md, scale.md and compare.md, on this machine (two hours)
	$(PY) benchmarks/models.py
	$(PY) benchmarks/iterations.py
	$(PY) benchmarks/iterations.py --validation
	$(PY) benchmarks/iterations.py --epochs 4
	$(PY) benchmarks/loader.py
	$(PY) benchmarks/halts.py
	$(PY) benchmarks/start.py
	$(PY) benchmarks/annotations.py
	$(PY) benchmarks/overhead.py --families
	$(PY) benchmarks/checkpointing.py
	$(PY) benchmarks/memory.py
	$(PY) benchmarks/windows.py
	$(PY) benchmarks/graphs.py
	$(PY) benchmarks/evaluation.py
	$(PY) benchmarks/evaluation.py --images 500 --masks
	$(PY) benchmarks/inference.py
	$(PY) benchmarks/coverage.py
	$(PY) benchmarks/screening.py
	$(PY) benchmarks/scale.py

gpu: env  ## the tests and figures that need a GPU, for 9 minutes: work_dirs/gpu/summary.md
	$(PY) benchmarks/gpu.py

lint: env  ## ruff, as CI runs it
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

lock:  ## work out requirements/lock.txt anew (needs uv)
	uv pip compile --universal --python-version 3.10 --no-annotate --no-header \
		--override requirements/override.txt requirements/tested.in \
		| grep -v "sys_platform == 'never'" > requirements/lock.txt

clean:  ## remove the environment; data/ and work_dirs/ stay
	rm -rf $(VENV)
