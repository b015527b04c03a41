"""ROUGE-1, 2, L and Lsum of one summary against its references, equal to rouge_score digit for digit and faster.

    rouge("Order 7 is late.", ["Order 7 came late.", "A late order."])["rougeL"]   # 75.0, the better of the two

Words, stems and formulas are rouge_score's own; only the counting is ours: every text is tokenised once, and the
longest common subsequence is found with one integer a row (Hyyrö 2004, "Bit-parallel LCS-length computation
revisited") instead of a table cell at a time.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import add
from typing import Any

from rouge_score import scoring, tokenize

from evaluation import stems

ROUGE = "rouge_score-0.1.2+stemmer+sentences-1+max"
"""Version string for signatures: the authority, its stemmer, our sentence rule, and how several references count."""

ROUGE_SCORES = ("rouge1", "rouge2", "rougeL", "rougeLsum")

_SENTENCE_END = re.compile(r"""([.!?…]["'”’)\]]*)\s+(?=[^a-z\s])""")


def rouge(summary: str, references: Sequence[str]) -> dict[str, float | None]:
    """F1 × 100 for every name in ROUGE_SCORES, and the same names with `_mean`.

    With several references `rougeL` is the best of them (as `score_multi`, chosen for each score apart) and
    `rougeL_mean` their mean. An empty summary scores 0; without any reference every score is None, unknown.
    ROUGE-Lsum sees one sentence a line, cut by `one_sentence_a_line`.
    """
    if not references:
        return {name + suffix: None for name in ROUGE_SCORES for suffix in ("", "_mean")}
    written = words_of(summary)
    against = [_scores(words_of(reference), written) for reference in references]
    best = {name: max(scores[name] for scores in against) for name in ROUGE_SCORES}
    mean = {f"{name}_mean": reduce(add, [scores[name] for scores in against]) / len(against) for name in ROUGE_SCORES}
    return {**best, **mean}


def one_sentence_a_line(text: str) -> str:
    """The text with a newline after each sentence, as ROUGE-Lsum wants it. The rule, "sentences-1":

    a sentence ends at `.`, `!`, `?` or `…` and the quotes or brackets that close on it, where white space follows and
    the next sign is no lower-case a-z. So "e.g. this" stays whole and "Dr. Wu" is cut. Newlines that stand, stand.
    """
    parts = _SENTENCE_END.split(text)
    parts[1::2] = [end + "\n" for end in parts[1::2]]
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Words:
    """One text, stemmed and counted: `places[word]` has bit i set where word i of `tokens` is that word."""

    tokens: tuple[str, ...]
    pairs: Counter[tuple[str, str]]
    counts: Counter[str]
    places: dict[str, int]
    sentences: tuple[_Words, ...] = ()


def stem(word: str) -> str:
    """A word of a-z and 0-9 as rouge_score counts it, which stems nothing of three letters or less."""
    return stems.stem(word) if len(word) > 3 else word


@lru_cache(maxsize=4096)  # a few kB each: the references of a test split are met again at every checkpoint
def words_of(text: str) -> _Words:
    lines = [tokenize.tokenize(line, stems) for line in one_sentence_a_line(text).split("\n")]
    whole = [token for line in lines for token in line]
    return _counted(whole, tuple(_counted(line) for line in lines if line))


def _counted(tokens: Sequence[str], sentences: tuple[_Words, ...] = ()) -> _Words:
    places: dict[str, int] = {}
    for index, token in enumerate(tokens):
        places[token] = places.get(token, 0) | 1 << index
    pairs = Counter(itertools.pairwise(tokens))
    return _Words(tuple(tokens), pairs, Counter(tokens), places, sentences)


def _scores(reference: _Words, written: _Words) -> dict[str, float]:
    r, w = len(reference.tokens), len(written.tokens)
    return {
        "rouge1": _f1(_overlap(reference.counts, written.counts), r, w),
        "rouge2": _f1(_overlap(reference.pairs, written.pairs), r - 1, w - 1),
        "rougeL": _f1(w - _rows(reference, written)[-1].bit_count(), r, w),
        "rougeLsum": _f1(_summary_hits(reference, written), r, w),
    }


def _f1(hits: int, in_reference: int, in_summary: int) -> float:
    """100 × F1, in the order of operations that rouge_score has, so that the last digit agrees."""
    return 100 * scoring.fmeasure(hits / max(in_summary, 1), hits / max(in_reference, 1))


def _overlap(one: Counter[Any], other: Counter[Any]) -> int:
    return sum(min(count, other[item]) for item, count in one.items() if item in other)


def _rows(reference: _Words, written: _Words) -> list[int]:
    """Row i holds bit j = 0 where word j of the summary lengthens the LCS with the first i words of the reference."""
    full = (1 << len(written.tokens)) - 1
    rows = [full]
    for token in reference.tokens:
        row = rows[-1]
        matched = row & written.places.get(token, 0)
        rows.append(((row + matched) | (row - matched)) & full)
    return rows


def _lcs_indices(reference: _Words, written: _Words) -> list[int]:
    """Which words of the reference are in the LCS; among equal ones the same that rouge_score's walk back picks."""
    rows, found = _rows(reference, written), []
    i, j = len(reference.tokens), len(written.tokens)

    def length(i: int, j: int) -> int:
        return j - (rows[i] & ((1 << j) - 1)).bit_count()

    while i and j:
        if reference.tokens[i - 1] == written.tokens[j - 1]:
            i, j = i - 1, j - 1
            found.append(i)
        elif length(i, j - 1) > length(i - 1, j):
            j -= 1
        else:
            i -= 1
    return found


def _summary_hits(reference: _Words, written: _Words) -> int:
    """Words of the union LCS, sentence by sentence (Lin 2004, section 3.2), no word counted oftener than it is written."""
    union: Counter[str] = Counter()
    for sentence in reference.sentences:
        found = {index for other in written.sentences for index in _lcs_indices(sentence, other)}
        union.update(sentence.tokens[index] for index in found)
    return _overlap(union, written.counts)
