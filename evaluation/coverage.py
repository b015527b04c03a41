"""Which key facts of a chat a summary keeps and which it loses: values, names and what people did, with the list of the missing.

    found = coverage("Order SJ-38894 was late.", ["Order SJ-38894 came late; $5 was refunded."])
    found.share, found.missing   # (0.4, (Fact("amount", "$5", …), …))

Against references a key fact is what a person thought worth telling: every id, amount, date, number, name and concrete
word. Without references it is what the chat itself marks as weighty (`salient`): values, and words that both sides use
or that stand in the first turn. A fact is kept where the summary holds one of its readings; word facts also where a
paraphrase that the lexicon knows stands there. Coverage says nothing about what else the summary claims: see grounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dialogues.dialogue import Dialogue, Turn
from evaluation.evidence import Chat, vocabulary
from evaluation.lexicon import REPORTING
from evaluation.mentions import AMOUNT, DATE, ID, NUMBER, spot
from evaluation.polarity import Sentence, read

COVERAGE = "coverage-1"
"""Version string for signatures."""

NAME, WORD = "name", "word"
KINDS = (ID, AMOUNT, DATE, NUMBER, NAME, WORD)
MOST_SALIENT = 12  # a summary of a support chat has about two sentences: more facts than this are not all its business


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing worth telling: its kind (one of KINDS), as it was written, and the readings it may be kept by."""

    kind: str
    text: str
    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a summary kept and lost, each in the order of the source; `share` kept in [0, 1], None without any fact."""

    kept: tuple[Fact, ...]
    missing: tuple[Fact, ...]

    @property
    def share(self) -> float | None:
        total = len(self.kept) + len(self.missing)
        return len(self.kept) / total if total else None

    def by_kind(self) -> dict[str, float | None]:
        """The share kept of each kind, None for a kind that no fact has."""
        parts = {kind: Coverage(_of(self.kept, kind), _of(self.missing, kind)) for kind in KINDS}
        return {kind: part.share for kind, part in parts.items()}


def coverage(summary: str, references: Sequence[str]) -> Coverage:
    """Facts of the reference whose facts the summary keeps best; the first one of equals. Nothing without references."""
    found = [kept_of(summary, facts(reference)) for reference in references]
    return max(found, key=lambda one: one.share or 0.0, default=Coverage((), ()))


def stored_coverage(summary: str, stored: Mapping[str, str]) -> Coverage:
    """The same against the facts stored with an example, such as {"problem": "…", "amount": "$5"}."""
    return kept_of(summary, _unique(fact for text in stored.values() for fact in facts(text)))


def kept_of(summary: str, wanted: Iterable[Fact]) -> Coverage:
    """Each fact held against the summary."""
    chat, values = _held(summary)
    kept, missing = list[Fact](), list[Fact]()
    for fact in wanted:
        words = fact.kind in (NAME, WORD)
        holds = any(chat.holds(key) if words else (fact.kind, key) in values for key in fact.keys)
        (kept if holds else missing).append(fact)
    return Coverage(tuple(kept), tuple(missing))


@lru_cache(maxsize=4)  # one summary is held against each reference, and against its chat
def _held(summary: str) -> tuple[Chat, frozenset[tuple[str, str]]]:
    """A summary as something to look words up in, and the values it names."""
    values = frozenset((mention.kind, key) for mention in spot(summary) for key in mention.keys)
    return vocabulary(summary), values


@lru_cache(maxsize=4096)  # the references of a test split are met again at every checkpoint
def facts(text: str) -> tuple[Fact, ...]:
    """Every value, name and concrete word of a text, once each, in order."""
    mentions = spot(text)
    found = [
        (mention.start, Fact(mention.kind, text[mention.start : mention.end], mention.keys)) for mention in mentions
    ]
    taken = [(mention.start, mention.end) for mention in mentions]
    for sentence in read(text):
        found += _words(sentence, taken)
    return _unique(fact for _, fact in sorted(found, key=lambda pair: pair[0]))


@lru_cache(maxsize=4096)  # a chat is met again at every checkpoint
def salient(dialogue: Dialogue) -> tuple[Fact, ...]:
    """At most MOST_SALIENT facts that the chat itself marks as weighty, the weightiest first.

    A fact weighs 1 for each turn that repeats it, 1 for standing in the first turn, 1 for both sides saying it, 1 for
    being part of an answer to a question, and 3 for being an id, amount or date; others that weigh less than 3 are left out.
    """
    turns = dialogue.turns
    said: dict[tuple[str, frozenset[str]], list[tuple[int, Fact]]] = {}
    for at, turn in enumerate(turns):
        for fact in facts(turn.text):
            said.setdefault((fact.kind, fact.keys), []).append((at, fact))
    weights = {key: _weight(key[0], [at for at, _ in places], turns) for key, places in said.items()}
    least = {key: 1 if key[0] in (ID, AMOUNT, DATE) else 3 for key in said}
    chosen = sorted((key for key in said if weights[key] >= least[key]), key=lambda key: -weights[key])
    return tuple(said[key][0][1] for key in chosen[:MOST_SALIENT])


def _weight(kind: str, places: Sequence[int], turns: Sequence[Turn]) -> int:
    both = len({turns[at].speaker for at in places}) > 1
    answers = any(at and "?" in turns[at - 1].text for at in places)
    return len(places) + (places[0] == 0) + both + answers + 3 * (kind in (ID, AMOUNT, DATE))


def _words(sentence: Sentence, taken: Sequence[tuple[int, int]]) -> list[tuple[int, Fact]]:
    """Names and content words that are no part of a value; a capital inside a sentence makes a name."""
    found = list[tuple[int, Fact]]()
    for place, word in enumerate(sentence.words):
        inside = any(start < word.end and word.start < end for start, end in taken)
        if word.content and not inside and len(word.plain) > 2 and word.plain not in REPORTING:
            kind = NAME if place and word.text[:1].isupper() else WORD
            found.append((word.start, Fact(kind, word.text, frozenset([word.plain]))))
    return found


def _unique(found: Iterable[Fact]) -> tuple[Fact, ...]:
    return tuple({(fact.kind, fact.keys): fact for fact in reversed(list(found))}.values())[::-1]


def _of(found: Sequence[Fact], kind: str) -> tuple[Fact, ...]:
    return tuple(fact for fact in found if fact.kind == kind)
