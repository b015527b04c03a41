"""How much of a sentence the chat holds, and whether the speaker it names is the one who said it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from evaluation.evidence import Chat
from evaluation.lexicon import REPORTING, SIDES
from evaluation.polarity import JOINTS, Sentence, Word, stem

FEWEST = 3  # words about somebody, below which nothing is made of who said them
HABIT = 0.8  # what a verb such as "apologise" adds for the agent and takes from the customer


@dataclass(frozen=True, slots=True)
class Alignment:
    """A sentence held against a chat. Words weigh the more, the fewer turns hold them; those that none holds weigh most,
    words with which people talk about any chat (`reports`) half of that.

    `held` is the share of its content words that the chat holds and `best` the largest share in one turn, both in [0, 1]
    and 1 for a sentence without such words. `lean`, in [-1.8, 1.8], is how much more of what it tells of `side` was said by that
    speaker than by the others, for the speaker of whom this is least; 0 where no speaker is named.
    """

    held: float
    best: float
    turn: int | None
    lean: float = 0.0
    side: Word | None = None
    heard: int | None = None  # the other speaker's turn that holds most of it


@lru_cache(maxsize=64)  # two checks of a summary ask the same of each of its sentences
def align(sentence: Sentence, chat: Chat) -> Alignment:
    """Hold one sentence against the chat; the speakers' own names are no content."""
    words = [word for word in sentence.words if word.content and word.plain not in chat.spoken_by]
    found = [chat.turns_with(word.plain) for word in words]
    weights = [
        _weight(turns, chat) * (1.0 if turns or not reports(word) else 0.5)
        for word, turns in zip(words, found, strict=True)
    ]
    total = sum(weights)
    if not total:
        return Alignment(1.0, 1.0, None, *_least(sentence, chat))
    held = sum(weight for weight, turns in zip(weights, found, strict=True) if turns)
    best, turn = _strongest(weights, found, range(chat.size))
    return Alignment(held / total, best / total, turn, *_least(sentence, chat))


def reports(word: Word) -> bool:
    """A word of summaries, such as "asked" or "issue", that claims nothing by itself."""
    return word.plain in REPORTING or word.stem in _reporting()


@cache
def _reporting() -> frozenset[str]:
    return frozenset(map(stem, REPORTING))


def _weight(turns: Sequence[int], chat: Chat) -> float:
    return math.log(1 + chat.size / max(1, len(turns)))


def _strongest(
    weights: Sequence[float], found: Sequence[Sequence[int]], among: Sequence[int]
) -> tuple[float, int | None]:
    """The turn among these that holds most, and how much; the earliest of equals."""
    sums = dict.fromkeys(among, 0.0)
    for weight, turns in zip(weights, found, strict=True):
        for turn in dict.fromkeys(turns):
            if turn in sums:
                sums[turn] += weight
    best = max(sums, key=lambda turn: sums[turn], default=None)
    return (0.0, None) if best is None else (sums[best], best)


def _least(sentence: Sentence, chat: Chat) -> tuple[float, Word | None, int | None]:
    """Lean, name and the others' best turn, for the speaker whose part of the sentence the chat gives him least."""
    leans = [(_lean(side, words, chat), side, words) for side, words in _parts(sentence, chat) if len(words) >= FEWEST]
    if not leans:
        return 0.0, None, None
    lean, side, words = min(leans, key=lambda one: one[0])
    others = [turn for turn in range(chat.size) if turn not in chat.spoken_by[side.plain]]
    found = [chat.turns_with(word.plain) for word in words]
    return lean, side, _strongest([_weight(turns, chat) for turns in found], found, others)[1]


def _lean(side: Word, words: Sequence[Word], chat: Chat) -> float:
    own = set(chat.spoken_by[side.plain])
    total, lean = 0.0, 0.0
    for word in words:
        turns = chat.turns_with(word.plain)
        weight = _weight(turns, chat)
        total += weight
        lean += weight * (any(turn in own for turn in turns) - any(turn not in own for turn in turns))
    return lean / total + HABIT * _habit(side.plain, words[0].stem)


def _habit(side: str, verb: str) -> int:
    """1 for a verb of this side of a support chat, -1 for one of the other side."""
    return 0 if side not in SIDES else sum((1 if name == side else -1) for name in SIDES if verb in _verbs(name))


@cache
def _verbs(side: str) -> frozenset[str]:
    return frozenset(map(stem, SIDES[side]))


def _parts(sentence: Sentence, chat: Chat) -> Iterator[tuple[Word, list[Word]]]:
    """Each speaker who opens a clause, with the content words up to the next who does."""
    side, told = None, list[Word]()
    for place, word in enumerate(sentence.words):
        if word.plain in chat.spoken_by and _opens(sentence, place):
            if side:
                yield side, told
            side, told = word, []
        elif side and word.content and word.plain not in chat.spoken_by:
            told.append(word)
    if side:
        yield side, told


def _opens(sentence: Sentence, place: int) -> bool:
    """Whether a word is the first of its clause, articles aside."""
    words = sentence.words
    while place and words[place - 1].plain in ("the", "a", "an", "here"):
        place -= 1
    return place == 0 or words[place - 1].plain in _OPENERS or place in sentence.breaks


_OPENERS = JOINTS | {"that", "whereas", "when", "if"}
