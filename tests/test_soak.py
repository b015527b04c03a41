"""A soak: many tiny runs go through the line, and nothing is left of them: no process, handle, thread, temporary file, memory or disk.

Five in every test run; `TUNEPROOF_SOAK=200 python -m pytest -s tests/test_soak.py` for as many as one likes.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from dialogues.dialogue import Dataset
from tuning import jobs
from tuning.plan import propose
from tuning.runs import FINISHED, MEASURE, SAMPLED, TRAIN, Run, create

RUNS = int(os.environ.get("TUNEPROOF_SOAK", "5"))
PATIENCE = 300.0  # seconds that one run may take on a busy machine
GROWTH = 30e6  # bytes that allocators may keep

pytestmark = pytest.mark.slow


def held() -> dict[str, int]:
    """What this process, which moves the line as the app does, holds."""
    gc.collect()
    me = psutil.Process()
    return {"handles": me.num_fds(), "threads": threading.active_count(), "bytes": me.memory_info().rss}


def working(root: Path) -> list[psutil.Process]:
    """Every process that works on anything under `root`."""
    return [one for one in psutil.process_iter(["cmdline"]) if str(root) in " ".join(one.info["cmdline"] or [])]


def size(run: Run) -> int:
    """Bytes that a run keeps."""
    return sum(path.stat().st_size for path in run.folder.rglob("*") if path.is_file())


def until_over(runs: list[Run]) -> None:
    """Look at the line and at every run that is not over as the app does, until all are over and measured."""
    root, left, end = runs[0].folder.parent, list(runs), time.monotonic() + PATIENCE
    while left:
        jobs.advance(root)
        over = [run for run in left if run.progress().over and not run.alive(TRAIN) and not run.alive(MEASURE)]
        if over:
            left, end = [run for run in left if run not in over], time.monotonic() + PATIENCE
        assert time.monotonic() < end, (left[0].progress(), left[0].log_tail(), left[0].log_tail(job=MEASURE))
        time.sleep(1.0)


def test_many_runs_go_through_the_line_and_leave_nothing_behind(
    tmp_path: Path, tiny_model: Path, chats: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, temporary = tmp_path / "runs", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    few = Dataset("few", {"train": chats.splits["train"], **{s: chats.splits[s][:2] for s in ("validation", "test")}})
    plan = replace(propose(few, str(tiny_model), "full", "quick", precision="fp32"), steps=2, batch_size=4)
    runs = [create(root, plan, few, f"run {number}", f"owner {number % 3}") for number in range(RUNS)]
    began = time.monotonic()
    for run in runs:
        jobs.enqueue(run, 1.0)
    until_over(runs[:1])
    first = held()
    until_over(runs)
    last = held()
    print(f"\n{RUNS} runs in {time.monotonic() - began:.0f} s; after the first {first}, after the last {last}")
    assert {run.progress().state for run in runs} == {FINISHED}
    assert all(run.measured() == run.measured(SAMPLED) == [0, 1, 2] for run in runs)
    assert working(root) == [] and list(temporary.iterdir()) == []
    assert last["handles"] <= first["handles"] and last["threads"] <= first["threads"]
    assert last["bytes"] < first["bytes"] + GROWTH
    sizes = [size(run) for run in runs]
    assert max(sizes) < 1.05 * min(sizes) and not [*root.rglob("*.pt"), *root.rglob(".*.json.*")]
    for run in runs:
        jobs.discard(run)
    assert {path.name for path in root.iterdir()} == {".line.lock", ".turns.json"}
