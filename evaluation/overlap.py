"""BLEU and chrF by sacrebleu, length against the references, and how much of a summary is copied from its chat.

    overlap("Order 7 is late.", ["Order 7 came late."])["chrf"]          # 0 to 100
    copying("Order 7 is late.", "Ana: my order 7 is late")["copied"]     # 100.0, every word stands in the chat

`bleu` and `chrf` are sentence scores against all references at once, as sacrebleu counts several; their mean over
chats is not corpus BLEU, which `corpus_bleu` gives. Copying follows Grusky, Naaman and Artzi 2018 (Newsroom): fragments are
the longest stretches shared with the chat, taken greedily from left to right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

OVERLAP = "sacrebleu-2.6.0:BLEU-eff+13a+exp,chrF2|copying-1"
"""Version string for signatures."""

_WORD = re.compile(r"\w+")


def overlap(summary: str, references: Sequence[str]) -> dict[str, float | None]:
    """`bleu` and `chrf`, each 0 to 100; both None, unknown, without a reference."""
    if not references:
        return {"bleu": None, "chrf": None}
    return {
        name: float(metric.corpus_score([summary], None).score)
        for name, metric in metrics_for(tuple(references)).items()
    }


def lengths(summary: str, references: Sequence[str]) -> dict[str, float | None]:
    """`length` in words, `length_ratio` to the references' mean, None without any."""
    length = len(summary.split())
    usual = sum(len(reference.split()) for reference in references) / max(len(references), 1)
    return {"length": length, "length_ratio": length / usual if usual else None}


def corpus_bleu(summaries: Sequence[str], references: Sequence[Sequence[str]]) -> float | None:
    """BLEU of all summaries together, 0 to 100; chats without a reference are left out, None where none is left."""
    from sacrebleu.metrics import BLEU

    pairs = [pair for pair in zip(summaries, references, strict=True) if pair[1]]
    if not pairs:
        return None
    most = max(len(given) for _, given in pairs)
    streams: list[Any] = [[given[at] if at < len(given) else None for _, given in pairs] for at in range(most)]
    return float(BLEU().corpus_score([summary for summary, _ in pairs], streams).score)


def copying(summary: str, source: str) -> dict[str, float | None]:
    """`copied`: % of words in fragments of the source. `density`: words of the fragment that a word is in, on average.

    `novel`: % of word pairs that the source does not hold. Unknown for a summary without a word (`novel`: without two).
    """
    words, given = _words(summary), _words(source)
    if not words:
        return {"copied": None, "density": None, "novel": None}
    lengths = _fragments(words, given)
    pairs, known = list(pairwise(words)), set(pairwise(given))
    return {
        "copied": 100 * sum(lengths) / len(words),
        "density": sum(length * length for length in lengths) / len(words),
        "novel": 100 * sum(pair not in known for pair in pairs) / len(pairs) if pairs else None,
    }


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _fragments(words: Sequence[str], given: Sequence[str]) -> list[int]:
    """Lengths, in words, of the longest shared stretches from left to right."""
    places: dict[str, list[int]] = {}
    for at, word in enumerate(given):
        places.setdefault(word, []).append(at)
    found, at = [], 0
    while at < len(words):
        longest = max((_shared(words, at, given, start) for start in places.get(words[at], ())), default=0)
        if longest:
            found.append(longest)
        at += longest or 1
    return found


def _shared(words: Sequence[str], at: int, given: Sequence[str], start: int) -> int:
    length = 0
    while at + length < len(words) and start + length < len(given) and words[at + length] == given[start + length]:
        length += 1
    return length


@lru_cache(maxsize=512)  # the references of a test split are met again at every checkpoint; some 100 kB each
def metrics_for(references: tuple[str, ...]) -> dict[str, Any]:
    """BLEU and chrF that have counted these references already; the score of a corpus of one is that of a sentence."""
    from sacrebleu.metrics import BLEU, CHRF  # here, because the first paint does not need it

    streams = [[reference] for reference in references]
    return {"bleu": BLEU(effective_order=True, references=streams), "chrf": CHRF(references=streams)}
