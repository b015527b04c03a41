"""ROUGE of thousands of summaries at once: the numbers of rouge.py, counted for all pairs together in arrays.

    rouge_many(["Order 7 is late.", …], [["Order 7 came late.", "A late order."], …])[:, COLUMNS.index("rougeL")]   # 75.0, …

Words become numbers once, for all texts together. Everything else is bits, 64 to a text, for all pairs side by side: which
words of the summary equal word i of the reference. Shared words and word pairs are counted by taking for each one a bit
that is still free; the longest common subsequences are found as in rouge.py. Longer texts are left to rouge.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.rouge import ROUGE_SCORES, one_sentence_a_line, rouge, stem

Ints = NDArray[np.int64]
Bits = NDArray[np.uint64]
Words = NDArray[Any]  # int16 or int32: the narrower, the faster to compare

COLUMNS = (*ROUGE_SCORES, *(f"{name}_mean" for name in ROUGE_SCORES))

CHUNK = 16_384  # pairs of a summary and a reference looked at together: about 40 MB
BITS = 64  # words of a text; longer ones go the slow way
_SENTENCE, _TEXT = b"\1", b"\2"  # words of our own between sentences and texts
_ONE = np.uint64(1)
_KEPT = bytes(c if c in b"abcdefghijklmnopqrstuvwxyz0123456789\n\0" else 32 for c in range(256))


def rouge_many(summaries: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """(summaries × COLUMNS): the numbers of `rouge` for each summary and its references, NaN where they are unknown.

    Raises ValueError where there are not as many lists of references as summaries.
    """
    rows = list(zip(summaries, references, strict=True))
    numbers = _Numbers()
    return np.concatenate([np.empty((0, len(COLUMNS))), *(_chunk(part, numbers) for part in _chunks(rows))])


def _chunks(rows: Sequence[tuple[str, Sequence[str]]]) -> Iterator[Sequence[tuple[str, Sequence[str]]]]:
    start, pairs = 0, 0
    for at, (_, given) in enumerate(rows):
        if pairs and pairs + len(given) > CHUNK:
            yield rows[start:at]
            start, pairs = at, 0
        pairs += len(given)
    yield rows[start:]


def _chunk(rows: Sequence[tuple[str, Sequence[str]]], numbers: _Numbers) -> NDArray[np.float64]:
    counts = np.array([len(given) for _, given in rows], dtype=np.int64)
    place = {text: at for at, text in enumerate(dict.fromkeys(chain.from_iterable((s, *given) for s, given in rows)))}
    texts = _read(list(place), numbers)
    reference = np.array([place[text] for _, given in rows for text in given], dtype=np.int64)
    summary = np.repeat(np.array([place[text] for text, _ in rows], dtype=np.int64), counts)
    fits = (texts.size[reference] <= BITS) & (texts.size[summary] <= BITS)
    scores = np.full((len(summary), len(ROUGE_SCORES)), np.nan)
    scores[fits] = _scores(texts, reference[fits], summary[fits])
    table = np.full((len(rows), len(COLUMNS)), np.nan)
    if (known := counts > 0).any():
        first = (np.cumsum(counts) - counts)[known]
        mean = _sums(scores, first, counts[known]) / counts[known, None]
        table[known] = np.hstack([np.maximum.reduceat(scores, first), mean])
    for at in np.unique(np.repeat(np.arange(len(rows)), counts)[~fits]).tolist():
        table[at] = list(rouge(*rows[at]).values())
    return table


def _sums(scores: NDArray[np.float64], first: Ints, counts: Ints) -> NDArray[np.float64]:
    """Of stretches of rows, added from first to last as `rouge` does, so that the last digit agrees."""
    total = scores[first]
    for at in range(1, int(counts.max())):
        more = counts > at
        total[more] += scores[first[more] + at]
    return total


@dataclass(frozen=True, slots=True)
class _Texts:
    """The words of all texts as numbers in one row; sentences and texts are stretches of it, sentences without a word left out.

    `start` and `size` by text, in words; `first` and `sentences` by text, in sentences; `at` and `long` by sentence, in words.
    """

    words: Words
    start: Ints
    size: Ints
    first: Ints
    sentences: Ints
    at: Ints
    long: Ints


class _Numbers(dict[bytes, int]):
    """A number for each stem, drawn when a word is first met; 0 and 1 are the marks between sentences and texts."""

    def __init__(self) -> None:
        super().__init__({_SENTENCE: 0, _TEXT: 1})
        self.stems: dict[str, int] = {}

    def __missing__(self, word: bytes) -> int:
        self[word] = number = self.stems.setdefault(stem(word.decode()), len(self.stems) + 2)
        return number


def _read(texts: Sequence[str], numbers: _Numbers) -> _Texts:
    """Every text in words, as rouge_score cuts them: lower case, a-z and 0-9 only, stemmed."""
    joined = one_sentence_a_line("\0".join(text.replace("\0", "\2") for text in texts))
    plain = joined.lower().encode("ascii", "replace").translate(_KEPT)
    found = plain.replace(b"\n", b" \1 ").replace(b"\0", b" \2 ").split()
    marked = np.fromiter(map(numbers.__getitem__, found), np.int32, len(found))
    real = marked > 1
    text = np.cumsum(marked == 1)[real]
    line = np.cumsum(marked <= 1)[real]
    words = marked[real].astype(np.int16 if len(numbers.stems) < 32_000 else np.int32)
    begins = np.flatnonzero(np.diff(line, prepend=-1))
    size, sentences = np.bincount(text, minlength=len(texts)), np.bincount(text[begins], minlength=len(texts))
    long = np.diff(begins, append=len(words))
    return _Texts(words, np.cumsum(size) - size, size, np.cumsum(sentences) - sentences, sentences, begins, long)


def _scores(texts: _Texts, reference: Ints, summary: Ints) -> NDArray[np.float64]:
    """(pairs × ROUGE_SCORES): F1 × 100."""
    r, s = texts.size[reference], texts.size[summary]
    union = _union(texts, reference, summary)
    hits = np.zeros((len(ROUGE_SCORES), len(r)), dtype=np.int64)
    for part, rows, matches in _tables(texts.words, texts.start[reference], r, texts.start[summary], s):
        pairs = [one & (after >> _ONE) for one, after in pairwise(matches)]
        wanted = [match & _mask(union[part], at) for at, match in enumerate(matches)]
        shared, doubled, kept = (_taken(which, len(part)) for which in (matches, pairs, wanted))
        hits[:, part] = shared, doubled, s[part] - np.bitwise_count(rows[-1]), kept
    sizes = [(r, s), (r - 1, s - 1), (r, s), (r, s)]
    return np.column_stack([_f1(found, *size) for found, size in zip(hits, sizes, strict=True)])


def _taken(matches: Sequence[Bits], pairs: int) -> Ints:
    """How many rows get a matching bit of their own: what both sides share, nothing counted oftener than either has it."""
    used = np.zeros(pairs, dtype=np.uint64)
    for match in matches:
        free = match & ~used
        used |= free & (~free + _ONE)
    return np.bitwise_count(used).astype(np.int64)


def _mask(bits: Bits, at: int) -> Bits:
    """All ones where bit `at` is set."""
    return np.uint64(0) - ((bits >> np.uint64(at)) & _ONE)


def _f1(hits: Ints, in_reference: Ints, in_summary: Ints) -> NDArray[np.float64]:
    """100 × F1, in the order of operations that rouge_score has, so that the last digit agrees."""
    precision, recall = hits / np.maximum(in_summary, 1), hits / np.maximum(in_reference, 1)
    both = precision + recall
    return 100 * (2 * precision * recall / np.where(both > 0, both, 1.0))


def _spread(start: Ints, size: Ints) -> tuple[Ints, Ints]:
    """Stretches laid end to end: which stretch each item is of, and where it lies."""
    which = np.repeat(np.arange(len(size)), size)
    return which, np.arange(len(which)) + (start - (np.cumsum(size) - size))[which]


def _union(texts: _Texts, reference: Ints, summary: Ints) -> Bits:
    """Words of each reference, in bits, that are in the union LCS (Lin 2004, section 3.2): shared with some sentence of the summary."""
    sentences = texts.sentences[summary]
    pair, ours = _spread(texts.first[reference], np.where(sentences > 0, texts.sentences[reference], 0))
    line, theirs = _spread(texts.first[summary][pair], sentences[pair])
    sides = texts.at[ours][line], texts.long[ours][line], texts.at[theirs], texts.long[theirs]
    found = np.zeros(len(line), dtype=np.uint64)
    for part, rows, matches in _tables(texts.words, *sides):
        found[part] = _walked_back(rows, matches)
    found <<= (texts.at[ours] - texts.start[reference][pair])[line].astype(np.uint64)
    of, begins = np.unique(pair[line], return_index=True)
    union = np.zeros(len(reference), dtype=np.uint64)
    union[of] = np.bitwise_or.reduceat(found, begins) if len(of) else 0
    return union


def _tables(
    words: Words, down: Ints, rows: Ints, across: Ints, columns: Ints
) -> Iterator[tuple[Ints, list[Bits], list[Bits]]]:
    """The LCS tables of many pairs: which pairs, their rows in bits from row 0 on, and the matches of each row.

    Pairs of equally many rows (to a multiple of 4) go together. Bit j of row i is 0 where word j of the columns lengthens the LCS with the
    first i words of the rows; beyond the last column bits are 0 too, and rows past the last one repeat it.
    """
    if not len(rows):
        return
    grouped = np.argsort(rows, kind="stable")
    edges = np.flatnonzero(np.diff((rows[grouped] + 3) // 4, prepend=-1, append=-1))
    for begin, end in pairwise(edges.tolist()):
        part = grouped[begin:end]
        wide = -(-max(int(columns[part].max()), 1) // 8) * 8
        cells = _cut(words, across[part], columns[part], wide, -1)
        asked = _cut(words, down[part], rows[part], int(rows[part].max()), -2)
        yield part, *_filled(cells, asked, columns[part])


def _cut(words: Words, start: Ints, size: Ints, wide: int, beyond: int) -> Words:
    """(stretches × wide): their words, and `beyond` after the last."""
    place = np.arange(wide)
    at = np.minimum(start[:, None] + place, len(words) - 1)
    return np.where(place < size[:, None], words[at], words.dtype.type(beyond))


def _filled(cells: Words, asked: Words, columns: Ints) -> tuple[list[Bits], list[Bits]]:
    full = np.where(
        columns > 0, np.uint64(2**64 - 1) >> (BITS - np.maximum(columns, 1)).astype(np.uint64), np.uint64(0)
    )
    rows, matches = [full], list[Bits]()
    octets = np.zeros((len(cells), 8), dtype=np.uint8)
    for at in range(asked.shape[1]):
        octets[:, : cells.shape[1] // 8] = np.packbits(cells == asked[:, at, None], axis=1, bitorder="little")
        match = octets.view(np.uint64).ravel().copy()
        shared = rows[-1] & match
        rows.append(((rows[-1] + shared) | (rows[-1] - shared)) & full)
        matches.append(match)
    return rows, matches


def _walked_back(rows: Sequence[Bits], matches: Sequence[Bits]) -> Bits:
    """Which words of the rows are in the LCS, in bits; among equal ones those that rouge_score's walk back picks.

    In row i the walk goes left until it meets a match, which it takes, or a column that row i gained nothing in, where it goes up.
    Gains are the stretches from a bit that row i newly has (0) to the bit that it lost for it: a difference of two numbers.
    """
    allowed, found = rows[0], np.zeros_like(rows[0])
    for at in range(len(matches) - 1, -1, -1):
        before, after, match = rows[at], rows[at + 1], matches[at]
        gains = (after & ~before) - (before & ~after)
        stop = (match | ~gains) & allowed
        below = _smeared(stop)
        taken = (below ^ (below >> _ONE)) & match > 0
        found |= taken.astype(np.uint64) << np.uint64(at)
        allowed = np.where(taken, below >> _ONE, below)
    return found


def _smeared(bits: Bits) -> Bits:
    """Every bit at and below the highest one that is set."""
    for shift in (1, 2, 4, 8, 16, 32):
        bits = bits | (bits >> np.uint64(shift))
    return bits
