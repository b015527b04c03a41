# Two commands do all set-up on a fresh machine: `make run` opens the app, `make test` proves it.
PYTHON ?= python3
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run test check chats base-model clean

run: .venv/.user
	.venv/bin/python app.py

test: .venv/.dev check
	@command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium >/dev/null) || sudo sh -c 'apt-get update -qq && apt-get install -y -qq chromium >/dev/null'
	.venv/bin/python -m pytest

check: .venv/.dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

chats: .venv/.user
	.venv/bin/python -m dialogues.situations assets

# The bundled model's recipe. Alone: the whole of it in a minute, in small, on the sample chats. With DATA=FOLDER: the real one.
base-model: .venv/.user
ifdef DATA
	.venv/bin/python -m tuning.pretrain --data $(DATA) --out $(or $(OUT),base-model) --minutes $(or $(MINUTES),120)
else
	.venv/bin/python -m tuning.pretrain --data assets/chats --mixture assets/mixture-toy.yaml --out $(or $(OUT),base-model) --minutes $(or $(MINUTES),0.5) --toy
endif

.venv/.made:
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.user: .venv/.made requirements.txt constraints.txt
	$(PIP) -r requirements.txt
	@touch $@

.venv/.dev: .venv/.made requirements.txt requirements-dev.txt constraints.txt
	$(PIP) -r requirements-dev.txt
	@touch .venv/.user $@

clean:
	rm -rf .venv .tuneproof
