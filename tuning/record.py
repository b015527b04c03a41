"""The plain values of a run, and how they lie on disk: a record is replaced at once, a curve grows by whole lines."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

WAITING, RUNNING, FINISHED = "waiting", "running", "finished"
CANCELLED, FAILED, INTERRUPTED = "cancelled", "failed", "interrupted"
TESTED, SAMPLED = "reports", "samples"  # measured on the test chats, and quickly on a few validation chats
WAITS = "Waits for its turn."
CANCELLED_WORDS = "Cancelled. Any checkpoint made before can still be used."


@dataclass(frozen=True, slots=True)
class Record:
    """What a run is called, when it was made (seconds since 1970), and whose it is (a digest, never the secret)."""

    name: str
    created: float
    owner_digest: str


def owner_digest(owner: str) -> str:
    """Names an owner without telling the secret that makes one."""
    return hashlib.sha256(owner.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The weights of a run (by its id) after `step` steps; step 0 is the untouched base model."""

    run: str
    step: int

    @property
    def label(self) -> str:
        """`zero-shot` for step 0, else `checkpoint 200`."""
        return f"checkpoint {self.step}" if self.step else "zero-shot"


@dataclass(frozen=True, slots=True)
class State:
    """What the child says of itself; it replaces this file with each heartbeat. Times are seconds since 1970."""

    state: str = WAITING
    step: int = 0
    message: str = ""
    eta_seconds: float | None = None
    tokens_per_second: float | None = None
    started: float | None = None
    updated: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None
    memory_bytes: int | None = None
    no_resume: str = ""  # why going on would be of no use


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come, as the screen shows it. Curves are (step, mean loss per token) in order of steps."""

    state: str
    step: int
    steps: int
    loss_curve: tuple[tuple[int, float], ...]
    validation_curve: tuple[tuple[int, float], ...]
    eta_seconds: float | None
    tokens_per_second: float | None
    message: str
    started: float | None
    updated: float | None
    learning_rate: float | None
    gradient_norm: float | None
    memory_bytes: int | None
    no_resume: str

    @property
    def over(self) -> bool:
        """Nothing more will come."""
        return self.state not in (WAITING, RUNNING)


def write(path: Path, record: Mapping[str, Any]) -> None:
    replace_text(path, json.dumps(record, ensure_ascii=False))


def replace_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a JSONL file; one that is being written just now is left for the next look."""
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            with suppress(json.JSONDecodeError):
                if line.endswith("\n"):
                    yield json.loads(line)


def tail(path: Path, lines: int) -> str:
    """The last lines of a file's last 64 kB; "" where there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 65_536))
        text = file.read().decode(errors="replace")
    return "\n".join(re.split(r"[\r\n]+", text.strip())[-lines:])


def note_process(path: Path, pid: int) -> None:
    """Keep a process's number with its start time, because numbers are used again."""
    try:
        started: float | None = psutil.Process(pid).create_time()
    except psutil.Error:
        started = None
    write(path, {"pid": pid, "started": started})


def live_process(path: Path) -> psutil.Process | None:
    """The process that was noted, where it is still the same one and no zombie; else None."""
    try:
        noted = read(path)
        process = psutil.Process(noted["pid"])
        same = noted["started"] is not None and abs(process.create_time() - noted["started"]) < 2
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (FileNotFoundError, psutil.Error):
        return None
