"""The run folder: its layout, who writes what, and when a thing in it is whole."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from dialogues.dialogue import Dataset, Problem, Refused
from tuning.plan import Plan
from tuning.record import (  # noqa: F401 (whoever works with runs gets its words here)
    CANCELLED,
    CANCELLED_WORDS,
    FAILED,
    FINISHED,
    INTERRUPTED,
    RUNNING,
    SAMPLED,
    TESTED,
    WAITING,
    WAITS,
    Checkpoint,
    Progress,
    Record,
    State,
    lines,
    live_process,
    note_process,
    owner_digest,
    read,
    replace_text,
    tail,
    write,
)  # fmt: skip

TRAIN, MEASURE = "train", "measure"  # the two processes that may work on a run
_ID = re.compile(r"[0-9a-f]{32}")
# What transformers needs to go on, by its own names; the first is written last.
_RESUME = ("trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state*.pth", "optimizer_0/*", "*_fsdp_0/*")


class RunRefused(Refused):
    """There is no such run, or it cannot be had or deleted now."""


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
        return Record(**read(self.folder / "record.json"))

    @property
    def plan(self) -> Plan:
        return Plan.from_json(read(self.folder / "plan.json"))

    @property
    def dataset(self) -> Dataset:
        """Read from disk at each call: keep it."""
        return Dataset.load(self.folder / "dataset")

    def log(self, job: str = TRAIN) -> Path:
        """Where a process's output goes."""
        return self.folder / f"{job}.log"

    def log_tail(self, lines: int = 20, job: str = TRAIN) -> str:
        """The last lines of a log, "" before there is one; at most its last 64 kB are read."""
        return tail(self.log(job), lines)

    # Checkpoints: a folder counts once its `whole.json` is there, which is written last.

    def checkpoint_folder(self, step: int) -> Path:
        return self.folder / "checkpoints" / f"checkpoint-{step}"

    @property
    def rehearsal_folder(self) -> Path:
        """Where saving is tried out; nothing stays there."""
        return self.folder / "checkpoints" / "checkpoint-rehearsal"

    def seal(self, step: int) -> None:
        """Say that a checkpoint's folder is whole; only the newest keeps what training needs to go on from it."""
        write(self.checkpoint_folder(step) / "whole.json", {"step": step, "sealed": time.time()})
        self.forget_resume(before=step)

    def forget_resume(self, before: int | None) -> None:
        """Drop what training would need to go on from the checkpoints before this step; from all where it is None."""
        for step in (point.step for point in self.checkpoints() if before is None or point.step < before):
            for path in (found for pattern in _RESUME for found in self.checkpoint_folder(step).glob(pattern)):
                path.unlink(missing_ok=True)

    def resume_step(self) -> int:
        """The last whole checkpoint that training can go on from; 0 is the beginning."""
        kept = (p.step for p in self.checkpoints() if (self.checkpoint_folder(p.step) / _RESUME[0]).is_file())
        return max(kept, default=0)

    def rewind(self, step: int) -> None:
        """Take back what came after checkpoint `step`: points of the curves, and checkpoints that are not whole."""
        kept = [point for point in lines(self.folder / "curve.jsonl") if point["step"] <= step and step]
        replace_text(self.folder / "curve.jsonl", "".join(json.dumps(point) + "\n" for point in kept))
        for folder in (self.folder / "checkpoints").glob("checkpoint-*"):
            if not (folder / "whole.json").is_file():
                shutil.rmtree(folder)

    def validated(self, step: int) -> bool:
        """Whether the validation curve has its point at `step`."""
        return any(p["kind"] == "validation" and p["step"] == step for p in lines(self.folder / "curve.jsonl"))

    def checkpoints(self) -> list[Checkpoint]:
        """The whole ones in order of steps, the untouched base model first."""
        sealed = (path.parent.name for path in (self.folder / "checkpoints").glob("checkpoint-*/whole.json"))
        return [Checkpoint(self.id, step) for step in sorted([0, *(int(name.split("-")[1]) for name in sealed)])]

    def checkpoint_source(self, step: int) -> str:
        """What `prompting.model.load` takes. Raises RunRefused where there is no whole checkpoint."""
        if step and not (self.checkpoint_folder(step) / "whole.json").is_file():
            raise _refusal(f"There is no checkpoint {step}.", "Choose one of the checkpoints listed.")
        return str(self.checkpoint_folder(step)) if step else self.plan.base_model

    # The line: a run that waits holds a ticket until it is started.

    def queue_up(self, ticket: int, seconds: float | None) -> None:
        """Wait, again or for the first time, with this place in the line; `seconds` it will take, None if unknown."""
        write(self.folder / "ticket.json", {"ticket": ticket, "seconds": seconds})
        waiting = replace(self.state(), state=WAITING, step=self.resume_step(), message=WAITS)
        self.write_state(replace(waiting, eta_seconds=None, no_resume=""))
        self._process_file(TRAIN).unlink(missing_ok=True)

    def ticket(self) -> int | None:
        """The place drawn by a run that waits; None for every other."""
        drawn = self._drawn()
        waits = drawn and not self._process_file(TRAIN).exists() and self.state().state == WAITING
        return int(drawn["ticket"]) if waits else None

    def expected_seconds(self) -> float | None:
        """What a run was expected to take when it drew its ticket; None where nobody knew."""
        return self._drawn().get("seconds")

    def _drawn(self) -> dict[str, Any]:
        path = self.folder / "ticket.json"
        return read(path) if path.is_file() else {}

    def track(self, trackers: Sequence[str]) -> None:
        """Name the trackers that this run reports to, by transformers' names; none unless this was called."""
        write(self.folder / "trackers.json", {"names": list(trackers)})

    def trackers(self) -> list[str]:
        path = self.folder / "trackers.json"
        return list(read(path)["names"]) if path.is_file() else []

    # Progress: written by the child, read by everyone.

    def write_state(self, state: State) -> None:
        write(self.folder / "state.json", asdict(state))

    def state(self) -> State:
        """What was last written; `progress` tells whether it is still true."""
        return State(**read(self.folder / "state.json"))

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
            message = "The training process was killed or the machine restarted; most often memory ran out."
            state = State(**{**asdict(state), "state": INTERRUPTED, "message": message, "eta_seconds": None})
        points = [(p["kind"], (int(p["step"]), float(p["value"]))) for p in lines(self.folder / "curve.jsonl")]
        loss, validation = (tuple(point for of, point in points if of == kind) for kind in ("loss", "validation"))
        return Progress(**asdict(state), steps=self.plan.steps, loss_curve=loss, validation_curve=validation)

    def _left_alone(self, state: State) -> bool:
        promised = state.state == RUNNING or (state.state == WAITING and self._process_file(TRAIN).exists())
        return promised and not self.alive(TRAIN)

    # Processes: a process is known by its number and its start time, because numbers are used again.

    def _process_file(self, job: str) -> Path:
        return self.folder / f"{job}-process.json"

    def note_process(self, job: str, pid: int) -> None:
        """Remember who works on this run; a process that has ended already is remembered as gone."""
        note_process(self._process_file(job), pid)

    def put_off(self, job: str) -> None:
        """Nobody works on it yet; somebody is to."""
        write(self._process_file(job), {"pid": 0, "started": None})

    def is_put_off(self, job: str) -> bool:
        with suppress(FileNotFoundError):  # also where the run is deleted at this moment
            return bool(read(self._process_file(job))["pid"] == 0)
        return False

    def process(self, job: str) -> psutil.Process | None:
        """The live process of this job, or None."""
        return live_process(self._process_file(job))

    def alive(self, job: str) -> bool:
        return self.process(job) is not None

    # What was measured, on the test chats or on a sample: this room stores it and does not read it.

    def save_report(self, report: Mapping[str, Any], on: str = TESTED) -> None:
        """Keep a report's JSON under its `step`."""
        write(self.folder / on / f"{int(report['step'])}.json", report)

    def report(self, step: int, on: str = TESTED) -> dict[str, Any] | None:
        path = self.folder / on / f"{step}.json"
        return read(path) if path.is_file() else None

    def measured(self, on: str = TESTED) -> list[int]:
        """The steps that have a report, in order; no report is read for it."""
        return sorted(int(path.stem) for path in (self.folder / on).glob("*.json"))

    def written(self, on: str = TESTED) -> dict[int, int]:
        """The time of writing of each step's report: another value once one is added or made again."""
        return {step: (self.folder / on / f"{step}.json").stat().st_mtime_ns for step in self.measured(on)}

    def reports(self) -> list[dict[str, Any]]:
        """All reports on the test chats in order of steps."""
        return [read(self.folder / TESTED / f"{step}.json") for step in self.measured()]

    @property
    def preferences(self) -> Path:
        return self.folder / "preferences.jsonl"  # what raters said, a line each

    def note_measuring(self, step: int, done: int, total: int, on: str = TESTED) -> None:
        """Say how far the measuring of a checkpoint is: `done` of `total` chats."""
        write(self.folder / "measuring.json", {"step": step, "done": done, "total": total, "on": on})

    def measuring(self) -> tuple[int, int, int, str] | None:
        """(step, chats done, chats in all, TESTED or SAMPLED) while something is being measured, else None."""
        path = self.folder / "measuring.json"
        if not path.is_file() or not self.alive(MEASURE):
            return None
        noted = read(path)
        return noted["step"], noted["done"], noted["total"], noted.get("on", TESTED)


def create(root: Path, plan: Plan, dataset: Dataset, name: str, owner: str) -> Run:
    """A new run folder under `root`, there all at once or not at all, in the state `waiting`. Every run has an owner."""
    if not owner:
        raise _refusal("This browser has not been given its key yet.", "Reload the page and press Start again.")
    run_id = secrets.token_hex(16)
    draft = Run(root / f".draft-{run_id}")
    dataset.save(draft.folder / "dataset")
    write(draft.folder / "plan.json", plan.to_json())
    write(draft.folder / "record.json", asdict(Record(name, time.time(), owner_digest(owner))))
    draft.write_state(State())
    return Run(draft.folder.replace(root / run_id))


def list_runs(root: Path, owner: str) -> list[Run]:
    """This owner's runs, the newest first; nobody's key names nobody's runs."""
    if not owner:
        return []
    mine = {}
    for run in all_runs(root):
        with suppress(FileNotFoundError):  # deleted just now
            if (record := run.record).owner_digest == owner_digest(owner):
                mine[run] = record.created
    return sorted(mine, key=lambda run: mine[run], reverse=True)


def all_runs(root: Path) -> list[Run]:
    """Everybody's runs, in no order; for the machine, never for a screen."""
    return [Run(path.parent) for path in root.glob("*/record.json") if _ID.fullmatch(path.parent.name)]


def open_run(root: Path, run_id: str) -> Run:
    """The run of that id. Raises RunRefused, with the same words for an unknown and for a malformed id."""
    if not isinstance(run_id, str) or not _ID.fullmatch(run_id) or not (root / run_id / "record.json").is_file():
        raise _refusal("There is no such run.", "Check that the address was copied whole; the run may be deleted.")
    return Run(root / run_id)


def run_at(folder: Path) -> Run:
    """The run that stands in this folder. Raises RunRefused."""
    if not (folder / "record.json").is_file():
        raise _refusal(f"{folder} is no run.", "Give a run's folder, as the command line printed it.")
    return Run(folder)


def delete(run: Run) -> None:
    """Remove a run and all that was stored for it. Raises RunRefused while a process works on it."""
    if (run.alive(TRAIN) and not run.progress().over) or run.alive(MEASURE):
        raise _refusal("The run is still going on.", "Cancel it first.")
    grave = run.folder.replace(run.folder.with_name(f".deleted-{run.id}"))
    shutil.rmtree(grave)  # gone for everyone already, though its files take a moment


def _refusal(reason: str, remedy: str) -> RunRefused:
    return RunRefused(Problem(reason, remedy, field="run"))
