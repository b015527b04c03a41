"""The run folder: its layout, who writes what, and when a thing in it is whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from dialogues.dialogue import Dataset, Problem, Refused
from tuning.plan import Plan

WAITING, RUNNING, FINISHED = "waiting", "running", "finished"
CANCELLED, FAILED, INTERRUPTED = "cancelled", "failed", "interrupted"
CANCELLED_WORDS = "Cancelled. The checkpoints made so far can still be used."
TRAIN, MEASURE = "train", "measure"  # the two processes that may work on a run
_ID = re.compile(r"[0-9a-f]{32}")


class RunRefused(Refused):
    """There is no such run, or it cannot be had or deleted now."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a run is called, when it was made (seconds since 1970), and whose it is (a digest, never the secret)."""

    name: str
    created: float
    owner_digest: str


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

    @property
    def over(self) -> bool:
        """Nothing more will come."""
        return self.state not in (WAITING, RUNNING)


@dataclass(frozen=True, slots=True)
class Run:
    """One tuning run by its folder. Only this file spells the names in it; all writes are atomic."""

    folder: Path

    @property
    def id(self) -> str:
        """32 hex digits that nobody can guess: who knows them may look."""
        return self.folder.name

    @property
    def record(self) -> Record:
        return Record(**_read(self.folder / "record.json"))

    @property
    def plan(self) -> Plan:
        return Plan.from_json(_read(self.folder / "plan.json"))

    @property
    def dataset(self) -> Dataset:
        """Read from disk at each call: keep it."""
        return Dataset.load(self.folder / "dataset")

    def log(self, job: str = TRAIN) -> Path:
        """Where a process's output goes."""
        return self.folder / f"{job}.log"

    def log_tail(self, lines: int = 20, job: str = TRAIN) -> str:
        """The last lines of a log, "" before there is one; at most its last 64 kB are read."""
        if not self.log(job).exists():
            return ""
        with self.log(job).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 65_536))
            text = file.read().decode(errors="replace")
        return "\n".join(re.split(r"[\r\n]+", text.strip())[-lines:])

    # Checkpoints: a folder counts once its `whole.json` is there, which is written last.

    def checkpoint_folder(self, step: int) -> Path:
        return self.folder / "checkpoints" / f"checkpoint-{step}"

    def seal(self, step: int) -> None:
        """Say that a checkpoint's folder is whole."""
        _write(self.checkpoint_folder(step) / "whole.json", {"step": step, "sealed": time.time()})

    def checkpoints(self) -> list[Checkpoint]:
        """The whole ones in order of steps, the untouched base model first."""
        sealed = (path.parent.name for path in (self.folder / "checkpoints").glob("checkpoint-*/whole.json"))
        return [Checkpoint(self.id, step) for step in sorted([0, *(int(name.split("-")[1]) for name in sealed)])]

    def checkpoint_source(self, step: int) -> str:
        """What `prompting.model.load` takes. Raises RunRefused where there is no whole checkpoint."""
        if step and not (self.checkpoint_folder(step) / "whole.json").is_file():
            raise _refusal(f"There is no checkpoint {step}.", "Choose one of the checkpoints listed.")
        return str(self.checkpoint_folder(step)) if step else self.plan.base_model

    # Progress: written by the child, read by everyone.

    def write_state(self, state: State) -> None:
        _write(self.folder / "state.json", asdict(state))

    def state(self) -> State:
        """What was last written; `progress` tells whether it is still true."""
        return State(**_read(self.folder / "state.json"))

    def append_point(self, kind: str, step: int, value: float) -> None:
        """Add a point to the curve `loss` or `validation`."""
        with (self.folder / "curve.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "step": step, "value": value}) + "\n")

    def progress(self) -> Progress:
        """How far it is. A run whose process is gone without a word is `interrupted`, never `running`."""
        state = self.state()
        if self._left_alone(state):
            state = self.state()  # it may have ended, in good order, between the two looks
        if self._left_alone(state):
            message = "The training process ended without a word: it was killed, or the machine was restarted."
            state = State(**{**asdict(state), "state": INTERRUPTED, "message": message, "eta_seconds": None})
        points = list(_lines(self.folder / "curve.jsonl"))
        loss, validation = (
            tuple((int(p["step"]), float(p["value"])) for p in points if p["kind"] == kind)
            for kind in ("loss", "validation")
        )
        return Progress(**asdict(state), steps=self.plan.steps, loss_curve=loss, validation_curve=validation)

    def _left_alone(self, state: State) -> bool:
        promised = state.state == RUNNING or (state.state == WAITING and self._process_file(TRAIN).exists())
        return promised and not self.alive(TRAIN)

    # Processes: a process is known by its number and its start time, because numbers are used again.

    def _process_file(self, job: str) -> Path:
        return self.folder / f"{job}-process.json"

    def note_process(self, job: str, pid: int) -> None:
        """Remember who works on this run; a process that has ended already is remembered as gone."""
        try:
            started: float | None = psutil.Process(pid).create_time()
        except psutil.Error:
            started = None
        _write(self._process_file(job), {"pid": pid, "started": started})

    def process(self, job: str) -> psutil.Process | None:
        """The live process of this job, or None."""
        try:
            noted = _read(self._process_file(job))
            process = psutil.Process(noted["pid"])
            same = noted["started"] is not None and abs(process.create_time() - noted["started"]) < 2
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (FileNotFoundError, psutil.Error):
            return None

    def alive(self, job: str) -> bool:
        return self.process(job) is not None

    # What was measured: this room stores it and does not read it.

    def save_report(self, report: Mapping[str, Any]) -> None:
        """Keep a report's JSON under its `step`."""
        _write(self.folder / "reports" / f"{int(report['step'])}.json", report)

    def report(self, step: int) -> dict[str, Any] | None:
        path = self.folder / "reports" / f"{step}.json"
        return _read(path) if path.is_file() else None

    def measured(self) -> list[int]:
        """The steps that have a report, in order; no report is read for it."""
        return sorted(int(path.stem) for path in (self.folder / "reports").glob("*.json"))

    def reports(self) -> list[dict[str, Any]]:
        """All reports in order of steps."""
        return [_read(self.folder / "reports" / f"{step}.json") for step in self.measured()]

    def note_measuring(self, step: int, done: int, total: int) -> None:
        """Say how far the measuring of a checkpoint is: `done` of `total` chats."""
        _write(self.folder / "measuring.json", {"step": step, "done": done, "total": total})

    def measuring(self) -> tuple[int, int, int] | None:
        """(step, chats done, chats in all) while something is being measured, else None."""
        path = self.folder / "measuring.json"
        if not path.is_file() or not self.alive(MEASURE):
            return None
        noted = _read(path)
        return noted["step"], noted["done"], noted["total"]


def owner_digest(owner: str) -> str:
    """Names an owner without telling the secret that makes one."""
    return hashlib.sha256(owner.encode()).hexdigest()


def create(root: Path, plan: Plan, dataset: Dataset, name: str, owner: str) -> Run:
    """A new run folder under `root`, there all at once or not at all, in the state `waiting`. Every run has an owner."""
    if not owner:
        raise _refusal("This browser has not been given its key yet.", "Reload the page and press Start again.")
    run_id = secrets.token_hex(16)
    draft = Run(root / f".draft-{run_id}")
    dataset.save(draft.folder / "dataset")
    _write(draft.folder / "plan.json", plan.to_json())
    _write(draft.folder / "record.json", asdict(Record(name, time.time(), owner_digest(owner))))
    draft.write_state(State())
    return Run(draft.folder.replace(root / run_id))


def list_runs(root: Path, owner: str) -> list[Run]:
    """This owner's runs, the newest first; nobody's key names nobody's runs."""
    if not owner:
        return []
    found = [Run(path) for path in (root.iterdir() if root.is_dir() else ()) if _ID.fullmatch(path.name)]
    mine = [(run.record.created, run) for run in found if run.record.owner_digest == owner_digest(owner)]
    return [run for _, run in sorted(mine, key=lambda pair: pair[0], reverse=True)]


def open_run(root: Path, run_id: str) -> Run:
    """The run of that id. Raises RunRefused, with the same words for an unknown and for a malformed id."""
    if not isinstance(run_id, str) or not _ID.fullmatch(run_id) or not (root / run_id / "record.json").is_file():
        raise _refusal("There is no such run.", "Check that the address was copied whole; the run may be deleted.")
    return Run(root / run_id)


def delete(run: Run) -> None:
    """Remove a run and all that was stored for it. Raises RunRefused while a process works on it."""
    if (run.alive(TRAIN) and not run.progress().over) or run.alive(MEASURE):
        raise _refusal("The run is still going on.", "Cancel it first.")
    grave = run.folder.replace(
        run.folder.with_name(f".deleted-{run.id}")
    )  # gone for everyone at once, though its files take a moment
    shutil.rmtree(grave)


def _refusal(reason: str, remedy: str) -> RunRefused:
    return RunRefused(Problem(reason, remedy, field="run"))


def _write(path: Path, record: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    draft.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    draft.replace(path)


def _read(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a JSONL file; one that is being written just now is left for the next look."""
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            with suppress(json.JSONDecodeError):
                if line.endswith("\n"):
                    yield json.loads(line)
