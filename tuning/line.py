"""The line of runs that wait to be trained: first come, first served, owners by turns."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tuning.engine import Local, engine_of
from tuning.record import read, write
from tuning.runs import RUNNING, TRAIN, WAITING, Run, all_runs


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run stands: 1 is next. `starts_in` seconds is expected, None where something ahead is unknown."""

    number: int
    starts_in: float | None


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """One process at a time draws tickets, starts, or cancels what waits; a process that dies lets go."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".line.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def join(run: Run, seconds: float | None) -> None:
    """Stand at the end of the line; call it under `locked`. Turns are counted from when the line was last empty."""
    root = run.folder.parent
    waiting = _waiting(root)
    if not waiting and not training(root):
        _save_turns(root, {})
    run.queue_up(max((ticket for ticket, _ in waiting), default=0) + 1, seconds)


def order(root: Path) -> list[Run]:
    """Those who wait, the next one first: of the owners whose last turn is longest ago, who came first."""
    turns = _turns(root)
    queues: dict[str, list[tuple[int, Run]]] = {}
    for ticket, run in _waiting(root):
        queues.setdefault(run.record.owner_digest, []).append((ticket, run))
    ordered = []
    while queues:
        owner = min(queues, key=lambda name: (turns.get(name, 0), queues[name][0][0]))
        ordered.append(queues[owner].pop(0)[1])
        queues = {name: runs for name, runs in queues.items() if runs}
        _take_turn(turns, owner)
    return ordered


def place(run: Run) -> Place | None:
    """The place of a run that waits, None for every other."""
    if run.ticket() is None:
        return None
    root = run.folder.parent
    ordered = order(root)
    if run not in ordered:
        return None  # its turn came just now
    number = ordered.index(run)
    ahead = [_left(now) for now in training(root)]
    ahead += [other.expected_seconds() for other in ordered[:number]]
    known = [seconds for seconds in ahead if seconds is not None]
    one_by_one = isinstance(engine_of(root), Local)  # else nobody knows which of those in training ends first
    return Place(number + 1, sum(known) if one_by_one and len(known) == len(ahead) else None)


def training(root: Path) -> list[Run]:
    """The runs that are being trained now, in no order."""
    return [run for run in all_runs(root) if run.alive(TRAIN) and run.state().state in (WAITING, RUNNING)]


def note_turn(run: Run) -> None:
    """Its owner has had a turn; call it under `locked`."""
    turns = _turns(run.folder.parent)
    _take_turn(turns, run.record.owner_digest)
    _save_turns(run.folder.parent, turns)


def _waiting(root: Path) -> list[tuple[int, Run]]:
    drawn = [(run.ticket(), run) for run in all_runs(root)]
    return sorted([(ticket, run) for ticket, run in drawn if ticket], key=lambda pair: pair[0])


def _left(now: Run) -> float | None:
    """Seconds until the run in training is over: as it says itself, or as was expected while it says nothing yet."""
    eta = now.progress().eta_seconds
    return now.expected_seconds() if eta is None else eta


def _take_turn(turns: dict[str, int], owner: str) -> None:
    turns[owner] = max(turns.values(), default=0) + 1


def _turns(root: Path) -> dict[str, int]:
    path = root / ".turns.json"
    return {owner: int(turn) for owner, turn in read(path).items()} if path.is_file() else {}


def _save_turns(root: Path, turns: dict[str, int]) -> None:
    write(root / ".turns.json", turns)
