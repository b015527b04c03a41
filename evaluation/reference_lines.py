"""What the curves are drawn beside: the first three turns copied out, and people against each other; scored once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import nan

import numpy as np

from dialogues.dialogue import Example
from evaluation.alignment import align
from evaluation.coverage import facts, salient
from evaluation.evidence import index
from evaluation.measure import lead3
from evaluation.mentions import spot
from evaluation.overlap import lengths, metrics_for
from evaluation.polarity import read
from evaluation.rouge import words_of
from evaluation.rouge_many import COLUMNS, rouge_many

Pair = tuple[str, tuple[str, ...]]  # a text and the references it is held against


def lead3_line(examples: Sequence[Example]) -> dict[str, float]:
    """Means of LEAD-3 by score name: ROUGE and lengths, those that are known for any chat."""
    return dict(_means(tuple((lead3(example.dialogue), example.references) for example in examples)))


def human_line(examples: Sequence[Example]) -> dict[str, float]:
    """Means of each reference against its chat's other ones; {} where no chat has two."""
    return dict(_means(tuple(pair for example in examples for pair in _each_against_the_others(example.references))))


def forget() -> None:
    """Let go of every chat and text that scoring keeps in memory; what is asked about later is read again."""
    for kept in (index, align, read, spot, salient, facts, metrics_for, words_of, _means):
        kept.cache_clear()


def _each_against_the_others(references: tuple[str, ...]) -> list[Pair]:
    if len(references) < 2:
        return []
    return [(text, (*references[:at], *references[at + 1 :])) for at, text in enumerate(references)]


@lru_cache(maxsize=8)  # a comparison is made again with every checkpoint; what its lines are drawn from stays the same
def _means(pairs: tuple[Pair, ...]) -> Mapping[str, float]:
    if not pairs:
        return {}
    sizes = [lengths(*pair) for pair in pairs]
    table = np.array([[nan if value is None else value for value in row.values()] for row in sizes])
    table = np.hstack([rouge_many(*zip(*pairs, strict=True)), table])
    known = [column[~np.isnan(column)] for column in table.T]
    return {name: float(one.mean()) for name, one in zip((*COLUMNS, *sizes[0]), known, strict=True) if len(one)}
