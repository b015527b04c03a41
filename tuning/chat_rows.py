"""A chat becomes a row of columns: the dialogue, what rules can say of it in whole sentences, and its facts."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from tuning.chats import AGENT, LABELS, Chat, chats, cut, labelled, varied
from tuning.restate import QUESTION, is_closing, said_by_agent, said_by_customer, sentences

INFORMATIVE_WORDS = 4
BAD = re.compile(
    r"sorry|unfortunately|cannot|can't|unable|not able|not available|no longer|unsuccessful|failed|declined|rejected|not found|still down|don't have",
    re.I,
)
GOOD = re.compile(
    r"\b(booked|confirmed|reserved|made|success\w*|done|sent|scheduled|purchased|complete\w*|updated|changed|ordered|placed|set|refunded"
    r"|on (its|the) way|will be|ready|transferred|bought|added|playing|closed|blocked|installed|submitted)\b", re.I,
)  # fmt: skip
RESOLVED = {True: "Yes", False: "No", None: "It is not clear"}
REMAINS = {True: "Nothing is left to do.", False: "The matter is still open.", None: ""}
NOT_MENTIONED = "It is not mentioned."
OTHER_LABELS = ("refund amount", "delivery date", "order number", "phone number", "email address", "account number", "price", "city", "name")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """What the rules make of a chat: each list holds whole sentences about it, in the chat's order."""

    asked: list[str]
    told: list[str]
    answered: list[str]
    who: str
    other: str

    @property
    def outcome(self) -> str:
        """The last thing the agent said that sounds like an end, or else the last thing about the matter."""
        telling = [told for told in self.answered[-5:] if BAD.search(told) or GOOD.search(told)]
        return (telling or self.answered or [f"{self.other} did not answer."])[-1]

    @property
    def solved(self) -> bool | None:
        return False if BAD.search(self.outcome) else True if GOOD.search(self.outcome) else None


def read(chat: Chat, who: str, other: str) -> Reading:
    """Restate the chat: the first request, what else the customer said, what the agent answered."""
    asked: list[str] = []
    told: list[str] = []
    answered: list[str] = []
    for turn in chat.dialogue.turns:
        for sentence in informative(turn.text):
            if turn.speaker != AGENT:
                (told if len(asked) > 1 or answered else asked).append(
                    said_by_customer(sentence, who, other.replace("The agent", "the agent"))
                )
            elif not sentence.endswith("?") and not QUESTION.match(sentence):
                answered.append(said_by_agent(sentence, other))
    return Reading(asked or told[:1], told, answered, who, other)


def informative(text: str) -> list[str]:
    """The sentences of a turn that say something about the matter."""
    return [
        sentence
        for sentence in sentences(text)
        if len(sentence.split()) >= INFORMATIVE_WORDS and not is_closing(sentence)
    ]


def summary(chat: Chat, said: Reading, rng: random.Random, limit: int = 60) -> str:
    """Need, one or two details, outcome: at most about `limit` words."""
    parts = [need(said)]
    middle = [told for told in (*said.told[:2], *said.answered[:2]) if told != said.outcome]
    parts += rng.sample(middle, min(len(middle), rng.choice([0, 1, 1, 2])))
    if known := facts_sentence(chat, " ".join(parts), rng):
        parts.append(known)
    return " ".join([*_fitting(parts, limit - len(said.outcome.split())), said.outcome]).strip()


def _fitting(parts: Sequence[str], limit: int) -> list[str]:
    kept = [parts[0]]
    for part in parts[1:]:
        if sum(len(done.split()) for done in (*kept, part)) <= limit:
            kept.append(part)
    return kept


def need(said: Reading) -> str:
    """What the customer wanted: their first request restated."""
    return " ".join(said.asked[:2]) if len(" ".join(said.asked[:2]).split()) < 32 else said.asked[0]


def facts_sentence(chat: Chat, already: str, rng: random.Random) -> str:
    """Up to three facts that `already` does not hold, as a sentence; "" for none."""
    fresh = [(key, value) for key, value in chat.facts.items() if value.lower() not in already.lower()]
    picked = rng.sample(fresh, min(len(fresh), rng.choice([0, 1, 2, 3])))
    return "The " + " and the ".join(f"{key} is {value}" for key, value in picked) + "." if picked else ""


def columns(chat: Chat, rng: random.Random) -> dict[str, str]:
    """Every column that this variation of the chat can fill; empty where it holds nothing to say."""
    dialogue, who, other = labelled(chat, rng)
    said = read(chat, who, other)
    if not (said.asked and said.answered):
        return {}
    asked, row = need(said), _asked_facts(chat, rng) | _spoken(replace(chat, dialogue=dialogue), said, rng)
    known = facts_sentence(chat, "", rng)
    return row | {
        "dialogue": dialogue.text, "need": asked, "outcome": said.outcome, "summary": summary(chat, said, rng),
        "brief": f"{asked} {said.outcome}", "note": " ".join(filter(None, (asked, known, said.outcome))),
        "needs": f"{asked} {said.outcome} {REMAINS[said.solved]}".strip(), "resolved": RESOLVED[said.solved], "remains": REMAINS[said.solved],
        "title": " and ".join(dict.fromkeys(chat.wants[:2])).capitalize(), "details": " ".join(said.told[:2]), "reply": said.answered[0],
        "facts": ", ".join(f"{key}: {value}" for key, value in list(chat.facts.items())[:6]),
        "explained": " ".join(said.answered[:2]), "ending": said.told[-1] if said.told else "",
    }  # fmt: skip


def _asked_facts(chat: Chat, rng: random.Random) -> dict[str, str]:
    """A fact to ask for; one time in four, one that the chat does not name."""
    absent = [label for label in OTHER_LABELS if not any(label in key or key in label for key in chat.facts)]
    if not chat.facts or (absent and rng.random() < 0.25):
        return {"label": rng.choice(absent), "value": NOT_MENTIONED, "named": "No"} if absent else {}
    label, value = rng.choice(sorted(chat.facts.items()))
    return {"label": label, "value": value, "named": "Yes"}


def _spoken(chat: Chat, said: Reading, rng: random.Random) -> dict[str, str]:
    """One turn to restate or to find again, and what one side said first and last, and asked; the chat is labelled already."""
    turns = chat.dialogue.turns
    turn = rng.choice([turn for turn in turns if informative(turn.text)])
    told = [_restated(one, turn.speaker, said) for one in informative(turn.text)[:3]]
    who = rng.choice(sorted({turn.speaker for turn in turns}))
    spoken = [" ".join(turn.text.split()[:50]) for turn in turns if turn.speaker == who]
    asked = [one for turn in turns if turn.speaker == who for one in sentences(turn.text) if one.endswith("?") and not is_closing(one)]  # fmt: skip
    return {
        "turn": f"{turn.speaker}: {turn.text}", "speaker": turn.speaker, "restated": " ".join(told), "word": _only_here(turn.text, " ".join(told), chat, rng),
        "quote": " ".join(turn.text.split()[:12]), "who": who, "first": spoken[0], "last": spoken[-1],
        "questions": " ".join(_restated(one, who, said) for one in asked[:2]),
    }  # fmt: skip


def _restated(sentence: str, speaker: str, said: Reading) -> str:
    by_agent = speaker == said.other or speaker in {agent for _, agent in LABELS}
    return said_by_agent(sentence, said.other) if by_agent else said_by_customer(sentence, said.who)


def _only_here(text: str, told: str, chat: Chat, rng: random.Random) -> str:
    """A longer word of `text` that is in `told` and in no other turn; "" where there is none."""
    whole = chat.dialogue.text.lower()
    common = set(re.findall(r"[a-z]{5,}", text)) & set(re.findall(r"[a-z]{5,}", told))
    words = sorted(word for word in common if len(re.findall(rf"\b{word}\b", whole)) == 1)
    return rng.choice(words) if words else ""


@dataclass(frozen=True)
class ChatRows:
    """The recipe's public chats as rows; each reading varies names, numbers and length. `longest` cuts all to so many turns.

    The chats that the recipe keeps for its own probe are rows only with `kept`, and then no others.
    """

    data: Path
    longest: int | None = None
    kept: bool = False

    @cached_property
    def chats(self) -> list[Chat]:
        return [chat for chat in chats(self.data) if held_out(chat) == self.kept]

    def __len__(self) -> int:
        return len(self.chats)

    def row(self, at: int, rng: random.Random) -> Mapping[str, str]:
        chat = self.chats[at]
        chat = varied(chat, rng) if rng.random() < 0.7 else chat
        if self.longest:
            return columns(cut(chat, rng, self.longest), rng)
        return columns(cut(chat, rng) if rng.random() < 0.3 else chat, rng)

    def texts(self, columns: Sequence[str], rng: random.Random) -> Iterator[str]:
        """A stretch of every chat, varied; which columns are asked for is no matter."""
        return (labelled(cut(varied(chat, rng), rng), rng)[0].text for chat in self.chats)


def held_out(chat: Chat) -> bool:
    """True for the one chat in fifty that the recipe keeps for its own probe."""
    return zlib.crc32(chat.dialogue.id.encode()) % 50 == 0
