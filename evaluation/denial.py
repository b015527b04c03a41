"""Whether the chat denies what a summary denies, states what it states, doubts what it doubts, and says a word and not its opposite."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache

from evaluation.evidence import Chat
from evaluation.lexicon import DOUBTS, LACKING, OPPOSITES, TELLING
from evaluation.polarity import Sentence, Word, denial_stems, stem
from evaluation.report import ABSENT, CONTRADICTED, SUPPORTED, Verdict, verdict

NEGATION, MODALITY, OPPOSITE = "negation", "modality", "opposite"


def judge_polarity(sentence: Sentence, chat: Chat) -> Iterator[Verdict]:
    """Each denial, statement and word with an opposite that the chat supports, denies or turns round."""
    for cue, scope in zip(sentence.cues, sentence.scopes, strict=True):
        if scope and (found := _judge_denial(sentence, cue, scope, chat)):
            yield found
    yield from _judge_statement(sentence, chat)
    yield from _judge_doubt(sentence, chat)
    yield from _judge_opposites(sentence, chat)


def _judge_denial(sentence: Sentence, cue: int, scope: tuple[int, ...], chat: Chat) -> Verdict | None:
    """A `not` of the summary: does the chat deny the same words, or state them? None when neither is clear."""
    word, stems = sentence.words[cue], [sentence.words[place].stem for place in scope]
    span, around = (word.start, word.end), chat.best_turns(sentence.stems, top=2)
    quiet = word.plain in LACKING or _ability(sentence, cue)
    told = stems[0] in _telling() and not quiet
    if denied := _denied_turns(stems[:1] if told else stems, chat):
        turn = chat.best_turns(sentence.stems, among=denied)[0]
        return verdict(span, NEGATION, SUPPORTED, turn, f"The chat denies it too (turn {turn + 1}).")
    if quiet:  # chats say in many ways that a thing is lacking or beyond somebody: silence proves nothing
        return None
    stated = [turn for turn, _, _ in chat.sentences_with(stems[0])]
    if around and (told or (stated and not all(turn in chat.negating for turn in around))):
        turn = chat.best_turns(sentence.stems, among=stated or around)[0]
        return verdict(span, NEGATION, CONTRADICTED, turn, f"The chat says it without “{word.text}” (turn {turn + 1}).")
    if not any(turn in chat.denying for turn in around):
        return verdict(span, NEGATION, ABSENT, None, "Nothing like this is denied in the chat.")
    return None


def _ability(sentence: Sentence, cue: int) -> bool:
    return sentence.words[cue].plain in _UNABLE or (cue > 0 and sentence.words[cue - 1].plain in ("can", "could"))


_UNABLE = frozenset(["cannot", "cant", "couldnt", "couldn"])


def _denied_turns(stems: Sequence[str], chat: Chat) -> list[int]:
    """Turns that deny one of these words: with a negation near it, by answering no, or as its opposite (`unavailable`)."""
    filed = [(stemmed, *entry) for stemmed in stems for entry in chat.sentences_with(stemmed)]
    turns = [turn for stemmed, turn, said, denied in filed if said.denies_word(stemmed) or (denied and said.question)]
    return turns + [
        turn for prefix in ("un", "in", "im", "dis", "ir") for turn in chat.turns_of.get(prefix + stems[0], ())
    ]


def _judge_statement(sentence: Sentence, chat: Chat) -> Iterator[Verdict]:
    """A statement of the summary (`is working`, `can log in`) whose verb the chat only ever denies."""
    if sentence.cues or sentence.stems & _asking():
        return
    for place, word in enumerate(sentence.words):
        if not any(near.plain in _AUXILIARIES for near in sentence.words[max(0, place - 2) : place]):
            continue
        filed = chat.sentences_with(word.stem) if word.content and word.stem not in _telling() else []
        if not filed or sentence.denies_word(word.stem) or _softened(word, sentence):
            continue
        direct = [turn for turn, said, _ in filed if _directly_denied(word.stem, said)]
        if len(direct) == len(filed) and len(sentence.stems & _stems_of(filed)) >= 2:
            yield verdict(
                (word.start, word.end), NEGATION, CONTRADICTED, direct[0], f"The chat denies it (turn {direct[0] + 1})."
            )
            return


_AUXILIARIES = frozenset(
    ["is", "are", "was", "were", "can", "could", "will", "would", "do", "does", "did", "has", "have", "had", "able"]
)


@cache
def _asking() -> frozenset[str]:
    """Stems that make a sentence a report of a question, which states nothing."""
    return frozenset(map(stem, ("ask", "enquire", "inquire", "question", "wonder", "request")))


def _softened(word: Word, sentence: Sentence) -> bool:
    """A word such as "failed" stands near, which may deny as well as "not"."""
    place = sentence.words.index(word)
    return any(near.stem in denial_stems() for near in sentence.words[max(0, place - 4) : place + 4])


def _directly_denied(stemmed: str, sentence: Sentence) -> bool:
    return any(sentence.words[place].stem == stemmed for scope in sentence.scopes for place in scope[:2])


def _stems_of(filed: Sequence[tuple[int, Sentence, bool | None]]) -> frozenset[str]:
    return frozenset().union(*(said.stems for _, said, _ in filed))


@cache
def _telling() -> frozenset[str]:
    return frozenset(map(stem, TELLING))


def _judge_doubt(sentence: Sentence, chat: Chat) -> Iterator[Verdict]:
    """A `might` about what the nearest turn says without any word of doubt."""
    for word in sentence.words:
        if word.plain != "might" or not (nearest := chat.best_turns(sentence.stems)):
            continue
        about = (there for turn, there, _ in chat.sentences if turn == nearest[0] and sentence.stems & there.stems)
        said = {near.plain for there in about for near in there.words}
        if said and not said & DOUBTS:
            reason = f"The chat says it without a doubt (turn {nearest[0] + 1})."
            yield verdict((word.start, word.end), MODALITY, CONTRADICTED, nearest[0], reason)


def _judge_opposites(sentence: Sentence, chat: Chat) -> Iterator[Verdict]:
    """`The price increased` where the chat has "decrease" alone, in a sentence about the same."""
    for word in sentence.words:
        others = _opposites().get(word.stem)
        if not others or not word.content or chat.turns_of.get(word.stem) or sentence.denies_word(word.stem):
            continue
        said = [(turn, there) for other in sorted(others) for turn, there, _ in chat.sentences_with(other)]
        about = [(turn, there) for turn, there in said if sentence.stems & there.stems and not there.cues]
        if about and len(about) == len(said):
            turn, there = about[0]
            text = next(other.text for other in there.words if other.stem in others)
            yield verdict(
                (word.start, word.end), OPPOSITE, CONTRADICTED, turn, f"The chat says “{text}” (turn {turn + 1})."
            )


@cache
def _opposites() -> dict[str, frozenset[str]]:
    """Stem -> stems that it shuts out."""
    found = defaultdict[str, set[str]](set)
    for left, right in OPPOSITES:
        for one, other in ((left, right), (right, left)):
            for word in one:
                found[stem(word)] |= set(map(stem, other))
    return {word: frozenset(others) for word, others in found.items()}
