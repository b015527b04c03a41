"""Is each name, number, amount, date, id, denial and concrete word of a summary in the chat; deterministic, in a millisecond."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from dialogues.dialogue import Dialogue
from evaluation.agreement import value_turns
from evaluation.alignment import Alignment, align, reports
from evaluation.denial import judge_polarity
from evaluation.evidence import Chat, Said, index, surroundings
from evaluation.lexicon import FUNCTION, NEGATIONS
from evaluation.mentions import DATE, ID, NUMBER, Mention, spot
from evaluation.polarity import Sentence, Word, read
from evaluation.report import ABSENT, CONTRADICTED, NEW, SUPPORTED, Verdict, verdict

GROUNDING = "grounding-3"  # part of every signature: raise it whenever a verdict can come out differently
NAME, ROLE, EVENT, WORD = "name", "role", "event", "word"
# Both chosen on the shipped training chats, to mark at most one in a hundred of their true sentences.
LEAST_HELD = 0.33  # of a sentence, by weight; what holds less tells of something else
LEAST_LEAN = -0.75  # of what is told of a speaker towards that speaker


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
        inside = [
            mention for mention in mentions
            if sentence.start <= mention.start < sentence.end
            and summary[mention.start : mention.end].strip("#").casefold() not in chat.spoken_by  # a speaker known by a number
        ]  # fmt: skip
        found = [_judge_value(summary, mention, sentence, chat) for mention in inside]
        free = [word for word in sentence.words if _clear(word, found)]
        aligned = align(sentence, chat)
        found += [one for one in _judge_side(aligned) if _clear(one, found)]
        names = [word for word in _names(free, sentence, summary, chat) if _clear(word, found)]
        found += _joined(summary, [_judge_name(word, sentence, chat) for word in names])
        free = [word for word in free if word not in names]
        found += [one for one in judge_polarity(sentence, chat) if _clear(one, found)]
        found += [one for one in _judge_words(free, sentence, aligned, chat) if _clear(one, found)]
        verdicts += found
    return tuple(sorted(verdicts, key=lambda one: one.start))


def unsupported(verdicts: Iterable[Verdict]) -> int:
    """How many verdicts are absent from or contradicted by the chat; a new word is neither."""
    return sum(one.unsupported for one in verdicts)


def _clear(one: Verdict | Word, others: Sequence[Verdict]) -> bool:
    return not any(one.start < other.end and other.start < one.end for other in others)


# values ---------------------------------------------------------------------------------------------------------------


def _judge_value(summary: str, mention: Mention, sentence: Sentence, chat: Chat) -> Verdict:
    text, span = summary[mention.start : mention.end], (mention.start, mention.end)
    if turns := value_turns(chat, mention):
        turn = chat.best_turns(sentence.stems, among=turns)[0]
        return verdict(span, mention.kind, SUPPORTED, turn, f"The chat says so (turn {turn + 1}).")
    if rival := _rival(summary, mention, chat):
        return verdict(
            span, mention.kind, CONTRADICTED, rival.turn, f"The chat says {rival.text} (turn {rival.turn + 1})."
        )
    return verdict(span, mention.kind, ABSENT, None, f"“{text}” is nowhere in the chat.")


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


# roles ----------------------------------------------------------------------------------------------------------------


def _judge_side(aligned: Alignment) -> Iterator[Verdict]:
    """The speaker of whom the sentence tells what the others said."""
    side, turn = aligned.side, aligned.heard
    if side and turn is not None and aligned.lean < LEAST_LEAN:
        yield verdict((side.start, side.end), ROLE, CONTRADICTED, turn, f"Somebody else says this (turn {turn + 1}).")


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
    if not word.text[0].isupper() or len(word.plain) < 2 or word.plain in FUNCTION | NEGATIONS or reports(word):
        return False
    opens = _OPENING.search(summary[max(sentence.start, word.start - 4) : word.start].strip(" ") or "") is not None
    if not opens:
        return not shouting or chat.holds(word.plain)
    return not shouting and (_someone(word) or chat.holds(word.plain))


def _someone(word: Word) -> bool:
    """Whether an unknown word that opens a sentence reads as a name: not as an adverb, a gerund or an abstraction."""
    return not word.plain.endswith(("ly", "ing", "ed", "tion", "tions", "ment", "ness", "ity", "ies", "ance", "ence"))


def _judge_name(word: Word, sentence: Sentence, chat: Chat) -> Verdict:
    text = re.sub(r"\s?['’`]\s?\w{1,2}$", "", word.text)
    span = (word.start, word.start + len(text))
    turns = chat.spoken_by.get(word.plain) or [turn for part in _pieces(word) for turn in chat.turns_with(part)]
    if turns:
        turn = chat.best_turns(sentence.stems, among=turns)[0]
        return verdict(span, NAME, SUPPORTED, turn, f"The chat says so (turn {turn + 1}).")
    if _written_together(word.plain, chat):
        turn = next(iter(chat.best_turns(sentence.stems)), 0)
        return verdict(span, NAME, SUPPORTED, turn, f"The chat writes it another way (turn {turn + 1}).")
    return verdict(span, NAME, ABSENT, None, f"“{text}” is nowhere in the chat.")


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
    for one in verdicts:
        last = joined[-1] if joined else None
        alike = last and (last.kind, last.status, last.turn) == (one.kind, one.status, one.turn)
        if last and alike and summary[last.end : one.start] == " ":
            text = summary[last.start : one.end]
            reason = last.reason if last.status == SUPPORTED else f"“{text}” is nowhere in the chat."
            joined[-1] = verdict((last.start, one.end), last.kind, last.status, last.turn, reason)
        else:
            joined.append(one)
    return joined


# words ----------------------------------------------------------------------------------------------------------------


def _judge_words(words: Sequence[Word], sentence: Sentence, aligned: Alignment, chat: Chat) -> Iterator[Verdict]:
    """Concrete words without any trace in the chat.

    A new word alone proves nothing, because people paraphrase: it is shown and not counted. A sentence of which the chat
    holds next to nothing tells of an event that the chat does not; that is one unsupported fact, marked at its first new word.
    """
    new = [word for word in words if _concrete(word) and not any(chat.holds(part) for part in _pieces(word))]
    for word in new:
        span = (word.start, word.end)
        if aligned.held < LEAST_HELD and word is new[0]:
            yield verdict(span, EVENT, ABSENT, None, "Most of this sentence is nowhere in the chat.")
        else:
            yield Verdict(*span, WORD, NEW, None, None, "This word is not in the chat.")


def _concrete(word: Word) -> bool:
    plain = word.plain
    return word.content and len(plain) >= 4 and plain.isalpha() and not plain.endswith("ly") and not reports(word)
