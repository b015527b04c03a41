"""Means and paired differences over chats, each with a seeded 95 % bootstrap interval.

    paired_difference(after=[40.0, 52.0, ...], before=[31.0, 45.0, ...])   # Interval(mean=8.0, low=6.1, high=9.8, n=110)

Chats are what is resampled: each of the 2,000 resamples draws as many chats as there are, with replacement, and the
interval is the percentile interval (2.5 % to 97.5 %) of the resampled means (Efron and Tibshirani 1993, chapter 13).
`p` is the share of resampled means, shifted to a true mean of 0, that lie at least as far from 0 as the one observed;
where several differences are looked at, `holm` makes it hold for all of them together (Holm 1979).
A difference is taken chat by chat first, so both sides meet the same chats. One seed and one number of chats give one
set of resamples, shared by every column: intervals do not depend on what else is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
ALPHA = 0.05
# A true difference shows at the 5 % level four times out of five when it is 1.96 + 0.84 standard errors large.
POWER = (1.96 + 0.84) / (2 * 1.96)  # of an interval's width
FEWEST = 6  # below six pairs no two-sided test at 5 % can speak, whatever the numbers (sign test: 2 / 2**5 > 0.05)

_BLOCK = 200_000  # cells of the resampling matrix held at a time: 1.6 MB, which stays near the processor


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over `n` chats and its 95 % interval, in the score's own units.

    `unknown` chats had no score and are left out. `mean` is None where n = 0; `low`, `high` and `p` (that the true mean
    is 0, two-sided) are None where n < 6.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    unknown: int = 0
    p: float | None = None

    @property
    def above_zero(self) -> bool:
        return self.low is not None and self.low > 0 and self._significant

    @property
    def below_zero(self) -> bool:
        return self.high is not None and self.high < 0 and self._significant

    @property
    def _significant(self) -> bool:
        return self.p is None or self.p < ALPHA  # snapshots of the first version hold no p

    @property
    def detectable(self) -> float | None:
        """The smallest true difference that this many chats show at the 5 % level four times out of five."""
        return None if self.low is None or self.high is None else POWER * (self.high - self.low)


def mean_interval(values: Sequence[float | None], seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """The mean of the known values with its interval: `mean_interval([1.0, None, 3.0]).unknown == 1`."""
    return intervals(_column(values), seed, resamples)[0]


def paired_difference(
    after: Sequence[float | None], before: Sequence[float | None], seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """The mean of after − before over the chats where both are known. Raises ValueError for unlike lengths."""
    if len(after) != len(before):
        raise ValueError(f"A paired difference needs the same chats on both sides, not {len(after)} and {len(before)}.")
    return intervals(_column(after) - _column(before), seed, resamples)[0]


def intervals(table: NDArray[np.float64], seed: int = 0, resamples: int = RESAMPLES) -> list[Interval]:
    """One Interval a column of a (chats × columns) table, NaN where unknown; many columns cost little more than one."""
    known = ~np.isnan(table)
    counts = known.sum(axis=0)
    if not counts.any():
        return [Interval(None, None, None, 0, len(table)) for _ in counts]
    means = np.where(known, table, 0.0).sum(axis=0) / np.maximum(counts, 1)
    drawn = _resampled(np.where(known, table - means, 0.0), known, seed, resamples)
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    farther = (np.abs(drawn) >= np.abs(means) - 1e-12).sum(axis=0)
    return [
        _interval(float(mean), float(mean + below), float(mean + above), int(n), len(table) - int(n), float(p))
        for mean, below, above, n, p in zip(means, low, high, counts, (farther + 1) / (resamples + 1), strict=True)
    ]


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Each p of a family of tests, adjusted so that the chance of any false finding in it stays at the level.

    >>> holm([0.01, 0.04, None])
    [0.02, 0.04, None]
    """
    known = sorted((p, at) for at, p in enumerate(values) if p is not None)
    adjusted: list[float | None] = [None] * len(values)
    largest = 0.0
    for rank, (p, at) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        adjusted[at] = largest
    return adjusted


def _interval(mean: float, low: float, high: float, n: int, unknown: int, p: float) -> Interval:
    if n == 0:
        return Interval(None, None, None, 0, unknown)
    return Interval(mean, low, high, n, unknown, p) if n >= FEWEST else Interval(mean, None, None, n, unknown)


def _column(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64).reshape(-1, 1)


def _resampled(
    centred: NDArray[np.float64], known: NDArray[np.bool_], seed: int, resamples: int
) -> NDArray[np.float64]:
    """(resamples × columns): the resampled means of values centred on their mean.

    Centred, so that equal values give an interval of width 0 exactly, not one of rounding errors.
    """
    blocks = []
    for weights in _weights(len(centred), seed, resamples):
        drawn = weights @ known if not known.all() else np.float64(len(centred))
        blocks.append(weights @ centred / np.maximum(drawn, 1))
    return np.concatenate(blocks)


def _weights(n: int, seed: int, resamples: int) -> Iterator[NDArray[np.float64]]:
    """How often each of n chats is drawn in each resample, (resamples × n), in blocks of rows."""
    rng = np.random.default_rng(seed)
    rows = max(1, _BLOCK // n)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        cells = rng.integers(0, n, size=(size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(cells.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
