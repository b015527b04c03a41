"""How a summary is drawn from a model, and what watches each token: near ties, loops, a reader who left."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a summary is drawn from a model: deterministic, greedy or by beam search."""

    max_new_tokens: int = 96
    beams: int = 1
    loop: int = 16  # tokens: where a run of so many would come again, the summary ends whole before it; 0: goes on

    @property
    def signature(self) -> str:
        """Such as `greedy max96 loop16 whole` or `beam4 max96 loop0`: goes into every score's signature."""
        search = "greedy" if self.beams == 1 else f"beam{self.beams}"
        return f"{search} max{self.max_new_tokens} loop{self.loop}{' whole' * (self.loop > 0)}"


class Margins:
    """Watches a greedy decoding: how far the best token was ahead of the second at every step of every row."""

    def __init__(self) -> None:
        self.steps: list[Any] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        best = scores.topk(2, dim=-1).values
        self.steps.append(best[:, 0] - best[:, 1])
        return scores

    def closest(self, rows: Sequence[Sequence[int]], pad: int) -> list[float]:
        """Each row's smallest margin over the steps that it took before it was only padded."""
        import torch

        lengths = (max((at + 1 for at, token in enumerate(row) if token != pad), default=1) for row in rows)
        margins = torch.stack(self.steps, dim=1)
        return [row[:length].min().item() for row, length in zip(margins.float(), lengths, strict=True)]


def loop_start(ids: Sequence[int], length: int) -> int | None:
    """Where the first run of `length` tokens begins that stands earlier as well; None without one."""
    seen = set[tuple[int, ...]]()
    for start in range(len(ids) - length + 1 if length else 0):
        run = tuple(ids[start : start + length])
        if run in seen:
            return start
        seen.add(run)
    return None


class Looped:
    """Ends each row as soon as its last tokens are a run that stands earlier in it. Not for beams, which are many in a row."""

    def __init__(self, decoding: Decoding) -> None:
        self._length = decoding.loop if decoding.beams == 1 else 0

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        import torch

        written = input_ids[:, 1:]
        if not 0 < self._length < written.shape[1]:
            return torch.zeros(len(written), dtype=torch.bool, device=input_ids.device)
        runs = written.unfold(1, self._length, 1)
        return (runs[:, :-1] == runs[:, -1:]).all(-1).any(-1)


class Streamer:
    """Hands each new token of a one-row generation to a queue; the first it is given is the start mark."""

    def __init__(self, queue: SimpleQueue[int | Exception | None]) -> None:
        self._queue, self._started = queue, False

    def put(self, value: Any) -> None:
        if self._started:
            self._queue.put(int(value.reshape(-1)[0]))
        self._started = True

    def end(self) -> None:
        """Nothing to flush: the end comes from the thread, after any error."""


class Stopped:
    """Ends a generation whose reader has gone."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        import torch

        return torch.full((input_ids.shape[0],), self._stop.is_set(), device=input_ids.device)
