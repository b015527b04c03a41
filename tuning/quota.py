"""How much of this machine one owner may take at once: runs in line, runs kept, and the disk that they lie on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dialogues.dialogue import Problem
from tuning.plan import disk_bytes, known_parameters
from tuning.runs import TRAIN, Run, list_runs

DELETE = "Delete runs that you no longer need: choose one under My runs and press “Delete run and chats”."


@dataclass(frozen=True, slots=True)
class Quota:
    """What each owner may have: runs in line or in training, runs kept (those included), bytes of disk for all of them."""

    in_line: int = 20
    kept: int = 100
    disk_bytes: int = 50 * 10**9

    def problems(self, root: Path, owner: str, more_bytes: int = 0) -> list[Problem]:
        """Everything that keeps this owner from starting one more run, which would take `more_bytes`; empty if nothing."""
        runs = list_runs(root, owner)
        return [*self._line_problems(runs), *self._kept_problems(runs, more_bytes)]

    def line_problems(self, root: Path, owner: str) -> list[Problem]:
        """What keeps a run that is kept already from standing in the line."""
        return list(self._line_problems(list_runs(root, owner)))

    def _line_problems(self, runs: list[Run]) -> Iterator[Problem]:
        waiting = sum(run.ticket() is not None or run.alive(TRAIN) for run in runs)
        if waiting >= self.in_line:
            reason = f"{waiting} of your runs are in line or in training; {self.in_line} are allowed at once."
            yield Problem(reason, "Wait until one is over, or cancel one.", field="quota")

    def _kept_problems(self, runs: list[Run], more_bytes: int) -> Iterator[Problem]:
        if len(runs) >= self.kept:
            yield Problem(f"You keep {len(runs)} runs; {self.kept} are allowed.", DELETE, field="quota")
        used = sum(map(_takes, runs))
        if used + more_bytes > self.disk_bytes:
            adds = f" and this one would add {more_bytes / 1e9:.1f} GB" if more_bytes else ""
            reason = f"Your runs take {used / 1e9:.1f} GB of disk with what they will write{adds}; {self.disk_bytes / 1e9:.1f} GB are allowed."
            yield Problem(reason, DELETE, field="quota")


def _takes(run: Run) -> int:
    """Bytes of disk: what lies there, and for a run that goes on or waits at least what it will have written."""
    if run.progress().over:
        return _size(run)
    return max(_size(run), disk_bytes(run.plan, known_parameters(run.plan.base_model) or 0))


def _size(run: Run) -> int:
    """Bytes of all its files; one that goes meanwhile counts nothing."""
    found = 0
    for path in run.folder.rglob("*"):
        with suppress(FileNotFoundError):
            found += path.stat().st_size
    return found
