"""Token arrays on disk, and from them the batch of each step: bare copying, span corruption, tasks."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuning.objective import NO_LOSS
from tuning.tokenizer import BYTES, EOS, PAD, SENTINELS, SPECIAL

GROUPS = ("spans", "tasks")
PRETRAINING = 0.22  # of the training time goes into plain text, before any task is seen
ALIKE = 16  # tokens: prompts this close in length are ordered by their answers
Arrays = dict[str, NDArray[Any]]
Row = tuple[NDArray[Any], NDArray[Any]]
Ragged = tuple[Row, Row]  # ids and lengths of all prompts, of all answers


def corrupt(ids: list[int], sentinels: list[int], rng: random.Random) -> tuple[list[int], list[int]]:
    """T5's span corruption: about 15 % of `ids` in spans of about three become sentinels; the answer spells the spans out."""
    source: list[int] = []
    target: list[int] = []
    at = used = 0
    while at < len(ids):
        if rng.random() < 0.06 and used < len(sentinels):
            length = rng.randint(1, 5)
            source.append(sentinels[used])
            target += [sentinels[used], *ids[at : at + length]]
            at, used = at + length, used + 1
        else:
            source.append(ids[at])
            at += 1
    return [*source, EOS], [*target, EOS]


def ragged(pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Ragged:
    """Prompt and answer ids end to end, and the length of each: (source, lengths), (target, lengths)."""
    return _end_to_end([source for source, _ in pairs]), _end_to_end([target for _, target in pairs])


def _end_to_end(rows: Sequence[Sequence[int]]) -> Row:
    return np.fromiter((one for row in rows for one in row), np.uint16), np.array([len(row) for row in rows], int)


def store(path: Path, parts: Iterable[Ragged]) -> None:
    """Write prompt and answer ids to an `.npz`, whole at once; neighbours are alike in both lengths, so that a batch has hardly any padding."""
    gathered = [tuple(map(np.concatenate, zip(*side, strict=True))) for side in zip(*parts, strict=True)]
    (_, prompts), (_, answers) = gathered
    order = np.lexsort((answers, prompts // ALIKE))
    flat: Arrays = {}
    for name, (ids, lengths) in zip(("source", "target"), gathered, strict=True):
        starts, ends = (np.cumsum(lengths) - lengths)[order], np.cumsum(lengths[order])
        shift = starts - (ends - lengths[order])  # from where a row will lie to where it lies now
        flat |= {name: ids[np.arange(len(ids)) + np.repeat(shift, lengths[order])], f"{name}_ends": ends}
    draft = path.with_suffix(".tmp.npz")
    np.savez(draft, **flat)  # type: ignore[arg-type]
    draft.replace(path)


def load(path: Path) -> Arrays:
    """Read back what `store` wrote."""
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


def shares(progress: float) -> tuple[float, float, float]:
    """How often a batch is bare copying, span corruption, tasks: first plain text, then the mixture."""
    if progress < PRETRAINING:
        copies = 0.6 if progress < 0.03 else 0.12
        return copies, 1 - copies, 0.0
    return 0.03, 0.07, 0.9


def copying(tokens: int, vocabulary: int, longest: int, rng: np.random.Generator) -> list[Row]:
    """Random pieces with a marker among them, and the answer: what follows the marker. Nothing but copying can solve it."""
    length, marker = int(rng.integers(4, longest)), vocabulary - len(SENTINELS)
    rows = []
    for _ in range(tokens // (4 * length)):
        pieces = rng.integers(len(SPECIAL), marker - len(BYTES), length)
        at = int(rng.integers(0, length // 2))
        rows.append((np.concatenate([pieces[:at], [marker], pieces[at:], [EOS]]), np.concatenate([pieces[at:], [EOS]])))
    return rows


def batch(
    arrays: Mapping[str, Arrays], tokens: int, vocabulary: int, seed: int, step: int, progress: float
) -> dict[str, NDArray[np.int64]]:
    """The batch of `step`: it depends on nothing but the arguments, so that a resumed run needs no reader state.

    Bare copying and plain text first, tasks later. Rows are alike in length.
    """
    rng = np.random.default_rng((seed, step))
    group = ("copies", *GROUPS)[rng.choice(3, p=shares(progress))]
    if group == "copies":
        return _padded(copying(tokens, vocabulary, 40, rng))
    chosen = arrays[group]
    ends = chosen["target_ends"]  # so that every token that teaches is as likely
    count, start = len(ends), int(np.searchsorted(ends, rng.random() * ends[-1]))
    rows: list[Row] = []
    widest = [0, 0]
    for row in range(start, count):
        pair = (_row(chosen, "source", row), _row(chosen, "target", row))
        widest = [max(width, len(side)) for width, side in zip(widest, pair, strict=True)]
        if rows and (len(rows) + 1) * sum(widest) > tokens:
            break
        rows.append(pair)
    return _padded(rows)


def _padded(rows: list[Row]) -> dict[str, NDArray[np.int64]]:
    source, target = (
        np.full((len(rows), max(len(row[side]) for row in rows)), fill) for side, fill in ((0, PAD), (1, NO_LOSS))
    )
    for number, row in enumerate(rows):
        source[number, : len(row[0])] = row[0]
        target[number, : len(row[1])] = row[1]
    return {"input_ids": source, "attention_mask": (source != PAD).astype(np.int64), "labels": target}


def _row(arrays: Arrays, side: str, row: int) -> NDArray[Any]:
    ends = arrays[f"{side}_ends"]
    return arrays[side][ends[row - 1] if row else 0 : ends[row]]
