"""Where runs train: this machine, one at a time, or a Ray cluster, as many as it has room for; one small seam."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tuning.record import WAITS, read, write
from tuning.runs import Run

# torch's threads wait for each other asleep instead of spinning: on a machine that has other work as well, such as
# measuring while training, a step is several times quicker so. oneDNN keeps room for each of the last 1,024 shapes of a
# product, and batches of like-length pairs have many shapes: sixteen are as quick.
PATIENT = ("env", "OMP_WAIT_POLICY=PASSIVE", "ONEDNN_PRIMITIVE_CACHE_CAPACITY=16")


class Engine(Protocol):
    """Trains runs. Whatever it is, one process of this machine stands for each training: alive while it goes on, its
    output is the run's log, SIGTERM ends it in good order."""

    def command(self, run: Run) -> list[str]:
        """The words that start that process."""

    def room(self) -> tuple[int, str]:
        """How many runs train side by side, and what is told to one that finds no room. It may take long to find out."""

    def keeps(self, run: Run) -> bool:
        """Whether it still trains the run although no process of this machine stands for it."""


class Local:
    """This machine."""

    def command(self, run: Run) -> list[str]:
        return [*PATIENT, sys.executable, "-m", "tuning.train", str(run.folder.resolve())]

    def room(self) -> tuple[int, str]:
        return 1, WAITS

    def keeps(self, run: Run) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Ray:
    """The cluster behind this address (RAY_ADDRESS): every machine of it sees the run folder at the same path."""

    address: str

    def command(self, run: Run) -> list[str]:
        return [*PATIENT, sys.executable, "-m", "tuning.cluster", str(run.folder.resolve()), self.address]

    def room(self) -> tuple[int, str]:
        from tuning.cluster import slots

        try:
            room = slots(self.address)
        except Exception as error:  # ray raises whatever its libraries do
            return 0, f"Waits for the Ray cluster at {self.address}, which does not answer ({type(error).__name__})."
        return room, f"Waits for its turn: the Ray cluster has room for {room} runs."

    def keeps(self, run: Run) -> bool:
        from tuning.cluster import living

        try:
            return living(self.address, run) is not None
        except Exception:  # nobody knows, and the run says that it is interrupted until somebody does
            return False


def engine_of(root: Path) -> Engine:
    """What trains the runs under `root`; whoever moves the line on has to agree about it, so it is noted there."""
    noted = root / ".engine.json"
    return Ray(read(noted)["ray"]) if noted.is_file() else Local()


def choose(root: Path, ray_address: str) -> None:
    """From now on runs under `root` train on that cluster; on this machine where it is ""."""
    if ray_address:
        write(root / ".engine.json", {"ray": ray_address})
    else:
        (root / ".engine.json").unlink(missing_ok=True)
