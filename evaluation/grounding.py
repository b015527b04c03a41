"""Is each name, number, amount, date, id, denial and concrete word of a summary in the chat; deterministic, in a millisecond."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from dialogues.dialogue import Dialogue
from evaluation.agreement import value_turns
from evaluation.evidence import Chat, Said, index, surroundings
from evaluation.lexicon import FUNCTION, NEGATIONS, REPORTING, TELLING
from evaluation.mentions import DATE, ID, NUMBER, Mention, spot
from evaluation.polarity import Sentence, Word, denial_stems, read, stem
from evaluation.report import ABSENT, CONTRADICTED, NEW, SUPPORTED, Verdict

GROUNDING = "grounding-1"  # part of every signature: raise it whenever a verdict can come out differently
NAME, NEGATION, EVENT, WORD = "name", "negation", "event", "word"
FEWEST_NEW, NEW_SHARE = 2, 0.7  # new words, and their share, that make a sentence tell of something else


def check(summary: str, dialogue: Dialogue) -> tuple[Verdict, ...]:
    """What the chat says about each stretch of the summary that names a thing, in reading order, none overlapping.

    Turns in a `Verdict` are 0-based; its reason counts them from 1, as people do. Same input, same output.

    >>> chat = Dialogue("c", (Turn("Customer", "My bill was $34.90 on Friday."),))
    >>> [(v.kind, v.status, v.turn, v.reason) for v in check("A bill of $45.90.", chat)]
    [('amount', 'contradicted', 0, 'The chat says $34.90 (turn 1).')]
    """
    chat = index(dialogue)
    mentions = spot(summary)
    verdicts: list[Verdict] = []
    for sentence in read(summary):
        inside = [mention for mention in mentions if sentence.start <= mention.start < sentence.end]
        found = [_judge_value(summary, mention, sentence, chat) for mention in inside]
        free = [word for word in sentence.words if not any(word.start < v.end and v.start < word.end for v in found)]
        names = _names(free, sentence, summary, chat)
        found += _joined(summary, [_judge_name(word, sentence, chat) for word in names])
        free = [word for word in free if word not in names]
        denials = [verdict for verdict in _judge_polarity(sentence, chat) if _clear(verdict, found)]
        found += denials
        found += [verdict for verdict in _judge_words(free, sentence, chat) if _clear(verdict, found)]
        verdicts += found
    return tuple(sorted(verdicts, key=lambda verdict: verdict.start))


def unsupported(verdicts: Iterable[Verdict]) -> int:
    """How many verdicts are absent from or contradicted by the chat; a new word is neither."""
    return sum(verdict.unsupported for verdict in verdicts)


def _clear(verdict: Verdict, others: Sequence[Verdict]) -> bool:
    return not any(verdict.start < other.end and other.start < verdict.end for other in others)


def _verdict(span: tuple[int, int], kind: str, status: str, turn: int | None, reason: str) -> Verdict:
    return Verdict(*span, kind, status, 1.0 if status == SUPPORTED else 0.0, turn, reason)


# values ---------------------------------------------------------------------------------------------------------------


def _judge_value(summary: str, mention: Mention, sentence: Sentence, chat: Chat) -> Verdict:
    text, span = summary[mention.start : mention.end], (mention.start, mention.end)
    if turns := value_turns(chat, mention):
        turn = chat.best_turns(sentence.stems, among=turns)[0]
        return _verdict(span, mention.kind, SUPPORTED, turn, f"The chat says so (turn {turn + 1}).")
    if rival := _rival(summary, mention, chat):
        return _verdict(
            span, mention.kind, CONTRADICTED, rival.turn, f"The chat says {rival.text} (turn {rival.turn + 1})."
        )
    return _verdict(span, mention.kind, ABSENT, None, f"“{text}” is nowhere in the chat.")


def _rival(summary: str, mention: Mention, chat: Chat) -> Said | None:
    """The one value of the same sort that the chat has in this one's place, or None when that is not clear."""
    near, unit, _ = surroundings(summary, mention)
    same = [said for said in chat.said if said.mention.kind == mention.kind and _comparable(said, mention, unit)]
    if len({frozenset(said.mention.keys) for said in same}) == 1:
        return max(same, key=lambda said: len(said.near & near))
    ranked = sorted(same, key=lambda said: -len(said.near & near))
    if len(ranked) > 1 and len(ranked[0].near & near) >= 2 + len(ranked[1].near & near):
        return ranked[0]
    return None


def _comparable(said: Said, mention: Mention, unit: str) -> bool:
    if mention.kind == NUMBER:  # "5 days" against "3 days", never against "3 phones"
        return bool(unit) and said.unit == unit
    return mention.kind not in (DATE, ID) or said.mention.family == mention.family


# names ----------------------------------------------------------------------------------------------------------------

_OPENING = re.compile(r"(?:^|[:“\"‘(\[•*–—]|[-]\s|\d[.)]\s)\s*$")


def _names(words: Sequence[Word], sentence: Sentence, summary: str, chat: Chat) -> list[Word]:
    """Words that name someone or something: capitalised though no sentence starts there, or a speaker of the chat."""
    written = [word for word in sentence.words if word.text[0].isalpha() and len(word.plain) > 1]
    capitals = sum(word.text[0].isupper() for word in written if word.plain not in FUNCTION)
    shouting = len(written) >= 5 and capitals >= 0.8 * sum(word.plain not in FUNCTION for word in written)
    return [word for word in words if _is_name(word, sentence, summary, chat, shouting)]


def _is_name(word: Word, sentence: Sentence, summary: str, chat: Chat, shouting: bool) -> bool:
    if word.plain in chat.spoken_by and (word.text[0] in "#" or word.text[0].isupper()):
        return True
    if word.text[0] == "#" or re.fullmatch(r"person\d+", word.plain):
        return True
    if not word.text[0].isupper() or len(word.plain) < 2 or word.plain in FUNCTION | NEGATIONS or _plain_talk(word):
        return False
    opens = _OPENING.search(summary[max(sentence.start, word.start - 4) : word.start].strip(" ") or "") is not None
    if not opens:
        return not shouting or chat.holds(word.plain)
    return not shouting and (_someone(word) or chat.holds(word.plain))


def _plain_talk(word: Word) -> bool:
    return word.plain in REPORTING or word.stem in _allowed()


def _someone(word: Word) -> bool:
    """Whether an unknown word that opens a sentence reads as a name: not as an adverb, a gerund or an abstraction."""
    return not word.plain.endswith(("ly", "ing", "ed", "tion", "tions", "ment", "ness", "ity", "ies", "ance", "ence"))


def _judge_name(word: Word, sentence: Sentence, chat: Chat) -> Verdict:
    text = re.sub(r"\s?['’`]\s?\w{1,2}$", "", word.text)
    span = (word.start, word.start + len(text))
    turns = chat.spoken_by.get(word.plain) or [turn for part in _pieces(word) for turn in chat.turns_with(part)]
    if turns:
        turn = chat.best_turns(sentence.stems, among=turns)[0]
        return _verdict(span, NAME, SUPPORTED, turn, f"The chat says so (turn {turn + 1}).")
    if _written_together(word.plain, chat):
        turn = next(iter(chat.best_turns(sentence.stems)), 0)
        return _verdict(span, NAME, SUPPORTED, turn, f"The chat writes it another way (turn {turn + 1}).")
    return _verdict(span, NAME, ABSENT, None, f"“{text}” is nowhere in the chat.")


def _pieces(word: Word) -> list[str]:
    return [word.plain, *(part for part in re.split(r"[-'’]", word.text.casefold()) if len(part) > 3)]


def _written_together(plain: str, chat: Chat) -> bool:
    """`Spotify` in SpotifyCares, `WhatsApp` in whats app, `DM` in direct message."""
    if len(plain) >= 4 and plain in chat.text:
        return True
    return len(plain) >= 5 and plain in re.sub(r"[\W_]+", "", chat.text)


def _joined(summary: str, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Neighbouring words of one name with one answer become one verdict."""
    joined: list[Verdict] = []
    for verdict in verdicts:
        last = joined[-1] if joined else None
        if (
            last
            and last.status == verdict.status
            and last.turn == verdict.turn
            and summary[last.end : verdict.start] == " "
        ):
            text = summary[last.start : verdict.end]
            reason = last.reason if last.status == SUPPORTED else f"“{text}” is nowhere in the chat."
            joined[-1] = _verdict((last.start, verdict.end), NAME, last.status, last.turn, reason)
        else:
            joined.append(verdict)
    return joined


# negations ------------------------------------------------------------------------------------------------------------


def _judge_polarity(sentence: Sentence, chat: Chat) -> Iterator[Verdict]:
    for cue, scope in zip(sentence.cues, sentence.scopes, strict=True):
        if scope and (verdict := _judge_denial(sentence, cue, scope, chat)):
            yield verdict
    yield from _judge_statement(sentence, chat)


def _judge_denial(sentence: Sentence, cue: int, scope: tuple[int, ...], chat: Chat) -> Verdict | None:
    """A `not` of the summary: does the chat deny the same words, or state them? None when neither is clear."""
    word, stems = sentence.words[cue], [sentence.words[place].stem for place in scope]
    span, around = (word.start, word.end), chat.best_turns(sentence.stems, top=2)
    told = stems[0] in _telling() and word.plain not in ("no", "without", "unable")
    if denied := _denied_turns(stems[:1] if told else stems, chat):
        turn = chat.best_turns(sentence.stems, among=denied)[0]
        return _verdict(span, NEGATION, SUPPORTED, turn, f"The chat denies it too (turn {turn + 1}).")
    stated = [turn for turn, _, _ in chat.sentences.get(stems[0], ())]
    if around and (told or (stated and not all(turn in chat.negating for turn in around))):
        turn = chat.best_turns(sentence.stems, among=stated or around)[0]
        return _verdict(
            span, NEGATION, CONTRADICTED, turn, f"The chat says it without “{word.text}” (turn {turn + 1})."
        )
    if not any(turn in chat.denying for turn in around):
        return _verdict(span, NEGATION, ABSENT, None, "Nothing like this is denied in the chat.")
    return None


def _denied_turns(stems: Sequence[str], chat: Chat) -> list[int]:
    """Turns that deny one of these words: with a negation near it, by answering no, or as its opposite (`unavailable`)."""
    filed = [(stemmed, *entry) for stemmed in stems for entry in chat.sentences.get(stemmed, ())]
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
        filed = chat.sentences.get(word.stem, ()) if word.content and word.stem not in _telling() else ()
        if not filed or sentence.denies_word(word.stem) or _softened(word, sentence):
            continue
        direct = [turn for turn, said, _ in filed if _directly_denied(word.stem, said)]
        if len(direct) == len(filed) and len(sentence.stems & _stems_of(filed)) >= 2:
            yield _verdict(
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


# words ----------------------------------------------------------------------------------------------------------------


def _judge_words(words: Sequence[Word], sentence: Sentence, chat: Chat) -> Iterator[Verdict]:
    """Concrete words without any trace in the chat.

    A new word alone proves nothing, because people paraphrase: it is shown and not counted. A sentence made mostly of
    them tells of an event that the chat does not; that is one unsupported fact, marked at its first new word.
    """
    concrete = [word for word in words if _concrete(word)]
    new = [word for word in concrete if not any(chat.holds(part) for part in _pieces(word))]
    elsewhere = len(new) >= FEWEST_NEW and len(new) > NEW_SHARE * len(concrete)
    for word in new:
        span = (word.start, word.end)
        if elsewhere and word is new[0]:
            yield _verdict(span, EVENT, ABSENT, None, "Most of this sentence is nowhere in the chat.")
        else:
            yield Verdict(*span, WORD, NEW, None, None, "This word is not in the chat.")


def _concrete(word: Word) -> bool:
    plain = word.plain
    return word.content and len(plain) >= 4 and plain.isalpha() and not plain.endswith("ly") and not _plain_talk(word)


@cache
def _allowed() -> frozenset[str]:
    return frozenset(map(stem, REPORTING))
