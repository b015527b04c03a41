"""The words of a text with their stems, sentence by sentence, and which of them a sentence denies."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

from evaluation import stems
from evaluation.lexicon import DENIALS, FUNCTION, NEGATIONS

SCOPE = 5  # how many words after "not" it still denies

_WORD = re.compile(r"#\w{1,40}#|[^\W_]+(?:(?:\s?['’`]\s?|-)(?:[^\W\d_]+))*")
_TAIL = re.compile(r"\s?['’`]\s?(?:s|m|re|ve|ll|d)$", re.I)
_ABBREVIATED = r"(?<!\b[A-Z])(?<!\b[Mm]r)(?<!\b[Mm]s)(?<!\b[Mm]rs)(?<!\b[Dd]r)(?<!\b[AaPp]\.[Mm])"
_END = re.compile(rf"{_ABBREVIATED}[.!?]+[\"'”’)]*(?=\s|$)|(?<=\b[AaPp]\.[Mm])\.(?=\s+[A-Z])|\n+")
JOINTS = frozenset(["and", "but", "because", "since", "so", "then", "although", "though", "while", "whether"])
_BREAK = re.compile(r"[,;:.!?()\n]")


class Word(NamedTuple):
    """One word: where it stands, as written, in plain small letters, its stem, and whether it can carry meaning."""

    start: int
    end: int
    text: str
    plain: str
    stem: str
    content: bool  # no grammar word, no negation


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence: its span, its words, those that follow a mark, the places of its negations, the words each denies, and
    the stems of its content words."""

    start: int
    end: int
    words: tuple[Word, ...]
    breaks: frozenset[int]
    question: bool
    cues: tuple[int, ...]
    scopes: tuple[tuple[int, ...], ...]
    stems: frozenset[str]

    def denies_word(self, stemmed: str) -> bool:
        """A negation reaches this word: it stands in its scope, or right after it (`working? not really`)."""
        places = [place for place, word in enumerate(self.words) if word.stem == stemmed]
        return any(0 < place - cue <= SCOPE or 0 < cue - place <= 2 for place in places for cue in self.cues)

    @property
    def denies(self) -> bool:
        """It holds a negation or a word such as "failed" that can stand for one."""
        return bool(self.cues) or not denial_stems().isdisjoint([word.stem for word in self.words])


@lru_cache(maxsize=256)  # a summary, its references and the turns of its chat are read by several checks in turn
def read(text: str) -> tuple[Sentence, ...]:
    """The sentences of `text` in order; spans are offsets into `text`, and blank stretches are left out."""
    bounds = [0, *(match.end() for match in _END.finditer(text)), len(text)]
    sentences = (_sentence(text, start, end) for start, end in itertools.pairwise(bounds))
    return tuple(sentence for sentence in sentences if sentence.words)


def stem(word: str) -> str:
    """Porter's stem of a word in small letters; what is longer than any word stays as it is."""
    return stems.stem(word) if len(word) < 64 else word


@cache
def denial_stems() -> frozenset[str]:
    """Stems of the words that deny without saying "not"."""
    return frozenset(map(stem, DENIALS))


def _sentence(text: str, start: int, end: int) -> Sentence:
    words = tuple(_word(match) for match in _WORD.finditer(text, start, end))
    breaks = frozenset(
        place
        for place, (word, after) in enumerate(itertools.pairwise(words), 1)
        if text[word.end : after.start] != " " and _BREAK.search(text, word.end, after.start)
    )
    cues = tuple(place for place, word in enumerate(words) if word.plain in NEGATIONS)
    scopes = tuple(_scope(words, breaks, cue) for cue in cues)
    told = frozenset(word.stem for word in words if word.content)
    return Sentence(start, end, words, breaks, "?" in text[max(start, end - 6) : end], cues, scopes, told)


def _word(match: re.Match[str]) -> Word:
    return Word(match.start(), match.end(), match[0], *_forms(match[0]))


@lru_cache(maxsize=65536)
def _forms(text: str) -> tuple[str, str, bool]:
    plain = "".join(filter(str.isalnum, _TAIL.sub("", text).casefold()))
    return plain, stem(plain), plain not in FUNCTION and plain not in NEGATIONS and len(plain) > 1


def _scope(words: tuple[Word, ...], breaks: frozenset[int], cue: int) -> tuple[int, ...]:
    """Places of the content words after a negation, up to the end of its clause."""
    places: list[int] = []
    for place in range(cue + 1, min(len(words), cue + 1 + SCOPE)):
        if place in breaks or words[place].plain in JOINTS:
            break
        if words[place].content:
            places.append(place)
    return tuple(places)
