"""A chat indexed once: which turn holds which word, value or denial, and which turn speaks of a sentence best."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import pairwise

from dialogues.dialogue import Dialogue, Turn
from evaluation.lexicon import NO, PARAPHRASES, YES
from evaluation.mentions import AMOUNT, DATE, ID, NUMBER, Mention, spot
from evaluation.numerals import number_key
from evaluation.polarity import Sentence, read, stem

_DIGIT = re.compile(r"\d")
_PIECES = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_]+")
_ALNUM = re.compile(r"[^\W_]+")
IMPLIED = "implied"
_TENS = {"twenty": 20, "thirty": 30}
_ORDINALS = {
    word: n
    for n, word in enumerate(["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"], 1)
}
# What people say instead of a number; it supports one and is never checked itself.
_IMPLIED = {
    "a": "1", "an": "1", "one": "1", "once": "1", "single": "1", "couple": "2", "both": "2", "pair": "2", "twice": "2",
    "double": "2", "either": "2", "triple": "3", "fortnight": "2", "dozen": "12", "half": "30",
    **{word: str(n) for word, n in _ORDINALS.items()}, "tenth": "10", "fifteenth": "15", "twentieth": "20", "thirtieth": "30", "hundred": "100", "hundreds": "100", "thousands": "1000", "weekend": "2", "quarter": "15",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """A mention in the chat: in which turn, as written, the stems of the words around it, the next word's stem, the word before."""

    turn: int
    text: str
    mention: Mention
    near: frozenset[str]
    unit: str
    lead: str


# Its turn, the sentence, and what it says of its words: denied (True), stated (False) or open (None).
Filed = tuple[int, Sentence, bool | None]


@dataclass(eq=False, slots=True)
class Chat:
    """What a chat says, ready to be asked. Turns are 0-based; a turn's speaker counts among its words."""

    size: int
    text: str  # all turns in small letters, for words that are written together or cut short
    turns_of: dict[str, list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )  # word or stem -> turns, ascending
    spoken_by: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    values: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))  # (kind, key) -> turns
    said: list[Said] = field(default_factory=list)
    sentences: list[Filed] = field(default_factory=list)
    by_initial: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    negating: set[int] = field(default_factory=set)  # turns with a "not"
    denying: set[int] = field(default_factory=set)  # those, and turns with a word such as "failed"
    looked_up: dict[str, list[int]] = field(default_factory=dict)  # what `turns_with` has found, which takes a while

    def weight(self, stemmed: str) -> float:
        """How telling a word is here: 0 when the chat lacks it, less the more turns hold it."""
        turns = self.turns_of.get(stemmed)
        return math.log(1 + self.size / len(turns)) if turns else 0.0

    def best_turns(self, stems: Iterable[str], among: Collection[int] | None = None, top: int = 1) -> list[int]:
        """The turns that share the most telling words with `stems`, best first, earliest on a tie."""
        scores = dict.fromkeys(among or (), 0.0)
        for word in sorted(stems):
            weight = self.weight(word)
            for turn in self.turns_of.get(word, ()):
                if among is None or turn in scores:
                    scores[turn] = scores.get(turn, 0.0) + weight
        return sorted(scores, key=lambda turn: (-scores[turn], turn))[:top]

    def sentences_with(self, stemmed: str) -> list[Filed]:
        """The sentences with a content word of this stem, in order; few are asked for, so they are filed nowhere."""
        return [entry for entry in self.sentences if stemmed in entry[1].stems] if stemmed in self.turns_of else []

    def turns_with(self, word: str) -> list[int]:
        """Turns that hold a word in small letters, a derivation, a paraphrase, a misspelling or a run-together of it."""
        if word not in self.looked_up:
            self.looked_up[word] = self._look_up(word)
        return self.looked_up[word]

    def _look_up(self, word: str) -> list[int]:
        stemmed = stem(word)
        for form in (word, stemmed):
            if form in self.turns_of:
                return self.turns_of[form]
        for form in (*_related(stemmed), *_derivations(word, self.by_initial)):
            if form in self.turns_of:
                return self.turns_of[form]
        return []

    def holds(self, word: str) -> bool:
        """Whether the chat has the word in any form, also inside another one (`Spotify` in `SpotifyCares`)."""
        return bool(self.turns_with(word)) or (len(word) >= 4 and word in self.text)


@lru_cache(maxsize=1024)
def index(dialogue: Dialogue) -> Chat:
    """Read a chat once; the last 1024 chats stay in memory, some 100 MB of short ones."""
    chat = Chat(len(dialogue.turns), "\n".join(f"{turn.speaker} {turn.text}" for turn in dialogue.turns).casefold())
    replies = [*(turn.text for turn in dialogue.turns[1:]), ""]
    for number, (turn, reply) in enumerate(zip(dialogue.turns, replies, strict=False)):
        words = _note_words(chat, number, turn)
        chat.spoken_by[turn.speaker.strip("#").casefold()].append(number)
        _note_sentences(chat, number, read(turn.text), reply)
        _note_values(chat, number, turn.text, words)
    return chat


def vocabulary(text: str) -> Chat:
    """A summary as something to look words up in, and nothing else: it knows of no speaker, value or sentence."""
    chat = Chat(1, f" {text}".casefold())
    _note_words(chat, 0, Turn("", text))
    return chat


def _note_words(chat: Chat, number: int, turn: Turn) -> list[str]:
    """File every word of a turn and of its speaker's name under itself and its stem; the words of the text, in order."""
    words = [part for match in _ALNUM.findall(turn.text) for part in _parts(match)]
    plain = {word.plain for sentence in read(turn.text) for word in sentence.words}
    plain.update(words, map(str.casefold, _ALNUM.findall(turn.speaker)))
    for word in {*plain, *map(stem, plain)}:
        chat.turns_of[word].append(number)
    for word in plain:
        chat.by_initial[word[:1]].add(word)
    return words


def _note_sentences(chat: Chat, number: int, sentences: tuple[Sentence, ...], reply: str) -> None:
    """Keep each sentence with what it says of its words."""
    answer = [match[0].casefold() for _, match in zip(range(3), _ALNUM.finditer(reply[:80]), strict=False)]
    replied = True if set(answer[:2]) & NO else False if set(answer[:1]) & YES else None
    for place, sentence in enumerate(sentences):
        asked = sentence.question and place == len(sentences) - 1
        denied = True if sentence.denies else (replied if asked else None) if sentence.question else False
        if sentence.cues:
            chat.negating.add(number)
        if denied:
            chat.denying.add(number)
        chat.sentences.append((number, sentence, denied))


def _note_values(chat: Chat, number: int, text: str, words: list[str]) -> None:
    keys: set[tuple[str, str]] = set()
    for mention in spot(text):
        chat.said.append(Said(number, text[mention.start : mention.end], mention, *surroundings(text, mention)))
        keys |= {(mention.kind, key) for key in mention.keys}
        if mention.kind == AMOUNT:
            keys |= {(NUMBER, key) for key in mention.keys}
        if mention.kind == DATE:
            keys |= {(NUMBER, str(int(part))) for key in mention.keys for part in re.findall(r"\d+", key)}
    keys |= {(IMPLIED, _IMPLIED[word]) for word in words if word in _IMPLIED}
    keys |= {
        (IMPLIED, str(_TENS[ten] + _ORDINALS[unit]))
        for ten, unit in pairwise(words)
        if ten in _TENS and unit in _ORDINALS
    }
    if _DIGIT.search(text):
        parts = re.findall(r"\d{1,15}(?:\.\d{1,4})", text) + re.findall(r"\d{1,15}", text)
        keys |= {(NUMBER, number_key(float(part))) for part in parts}
        for place in (place for place, word in enumerate(words) if _DIGIT.search(word)):
            starts = range(max(0, place - 3), place + 1)
            keys |= {
                (ID, "".join(words[start:end]))
                for start in starts
                for end in range(place + 1, min(start + 4, len(words)) + 1)
            }
    for key in keys:
        chat.values[key].append(number)


def surroundings(text: str, mention: Mention) -> tuple[frozenset[str], str, str]:
    """Stems of the words near a mention (60 characters either way), its unit (the next word), and the word before it."""
    before = _ALNUM.findall(text[max(0, mention.start - 60) : mention.start])
    after = _ALNUM.findall(text[mention.end : mention.end + 60])
    near = frozenset(stem(word.casefold()) for word in (*before[-6:], *after[:6]) if len(word) > 2)
    return near, stem(after[0].casefold()) if after else "", before[-1].casefold() if before else ""


@lru_cache(maxsize=65536)
def _parts(word: str) -> tuple[str, ...]:
    """`XboxOneX` is also said by `xbox one x`, and `iOS11` by `ios 11`."""
    pieces = _PIECES.findall(word) if len(word) < 64 else []
    return (word.casefold(), *(piece.casefold() for piece in pieces if len(pieces) > 1))


@cache
def _paraphrases() -> dict[str, frozenset[str]]:
    related: dict[str, set[str]] = defaultdict(set)
    for line in PARAPHRASES:
        for word in line:
            related[stem(word)] |= {stem(other) for other in line}
    return {word: frozenset(others) for word, others in related.items()}


def _related(stemmed: str) -> list[str]:
    return sorted(_paraphrases().get(stemmed, ()))


def _derivations(word: str, by_initial: dict[str, set[str]]) -> list[str]:
    """Words of the chat that share most of their beginning with `word`, or differ from it by one letter."""
    if len(word) < 4 or not word.isalpha():
        return []
    near = by_initial.get(word[:1], set())
    return sorted(
        other
        for other in near
        if len(other) >= 4 and other.isalpha() and (_akin(word, other) or _one_letter_off(word, other))
    )


def _shared(word: str, other: str) -> int:
    """How many letters both begin with."""
    return next((n for n, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))


def _akin(word: str, other: str) -> bool:
    if word[:4] != other[:4]:
        return False
    shared = _shared(word, other)
    return shared >= 5 or (shared >= 4 and shared >= min(len(word), len(other)) - 1 and max(len(word), len(other)) <= 8)


def _one_letter_off(word: str, other: str) -> bool:
    """One letter changed, missing, added or swapped with the next, in words of five letters or more."""
    if min(len(word), len(other)) < 5 or abs(len(word) - len(other)) > 1:
        return False
    at = _shared(word, other)
    if (
        word[at + 2 :] == other[at + 2 :] and word[at : at + 2] == other[at : at + 2][::-1]
    ):  # two letters in each other's place
        return True
    return word[at + 1 :] == other[at + 1 :] or word[at:] == other[at + 1 :] or word[at + 1 :] == other[at:]
