"""Many tasks, one training stream: tasks x templates x rates for the bundled base model."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from prompting.catalog import TEMPLATES
from tuning.chats import AGENT, LABELS, Chat, chats, cut, labelled, records, varied
from tuning.restate import QUESTION, is_closing, said_by_agent, said_by_customer, sentences


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to learn: this prompt, that answer."""

    task: str
    prompt: str
    answer: str


INFORMATIVE_WORDS = 4

WHOLE = [TEMPLATES["summarize"].pattern] * 4 + [TEMPLATES["plain"].pattern] * 3 + [
    "Write a short summary of this dialogue.\n\n{dialogue}", "{dialogue}\n\nSummarize the chat above in a few sentences.",
    "Conversation:\n{dialogue}\n\nWhat happened in this conversation?", "{dialogue}\n\nTL;DR:", "Summarise this support chat: {dialogue}",
    "Here is a chat.\n{dialogue}\nGive a summary.",
]  # fmt: skip
BRIEF = [TEMPLATES["short"].pattern] * 4 + [
    "{dialogue}\n\nSummarize in one sentence.",
    "Give a brief summary of the chat: {dialogue}",
]
NOTE = [TEMPLATES["handover"].pattern] * 4 + [
    "{dialogue}\n\nWrite a handover note.",
    "Note for a colleague about this chat:\n{dialogue}",
]
NEEDS = [TEMPLATES["needs"].pattern] * 4 + ["{dialogue}\n\nSay what was needed, what was done, and what is next."]
WANT = [
    "{dialogue}\n\nWhat did the customer want?",
    "What is this chat about?\n{dialogue}",
    "Why did the customer write?\n\n{dialogue}",
]
END = ["{dialogue}\n\nHow did it end?", "What did the agent do?\n\n{dialogue}", "{dialogue}\n\nWhat was the outcome?"]
SOLVED = ["{dialogue}\n\nWas it resolved?", "Did the customer get what they wanted?\n{dialogue}"]
FACT = [
    "{dialogue}\n\nWhat is the {label}?",
    "Find the {label} in this chat.\n\n{dialogue}",
    "{dialogue}\n\nName the {label}.",
]
FACTS = ["{dialogue}\n\nList the key facts.", "What details were given?\n{dialogue}"]
TITLE = ["{dialogue}\n\nTitle:", "Give this chat a title.\n{dialogue}"]
LAST_SAID = ["{dialogue}\n\nWhat did the {who} say last?", "Repeat the last message of the {who}.\n{dialogue}"]
WHO = ['{dialogue}\n\nWho said "{quote}"?']
RESTATE = ["{dialogue}\n\nRestate what the {who} says.", "Say in the third person: {dialogue}"]
BAD = re.compile(
    r"sorry|unfortunately|cannot|can't|unable|not able|not available|no longer|unsuccessful|failed|declined|rejected|not found|still down|don't have",
    re.I,
)
GOOD = re.compile(
    r"\b(booked|confirmed|reserved|made|success\w*|done|sent|scheduled|purchased|complete\w*|updated|changed|ordered|placed|set|refunded"
    r"|on (its|the) way|will be|ready|transferred|bought|added|playing|closed|blocked|installed|submitted)\b", re.I,
)  # fmt: skip


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
        for sentence in _informative(turn.text):
            if turn.speaker != AGENT:
                (told if len(asked) > 1 or answered else asked).append(
                    said_by_customer(sentence, who, other.replace("The agent", "the agent"))
                )
            elif not sentence.endswith("?") and not QUESTION.match(sentence):
                answered.append(said_by_agent(sentence, other))
    return Reading(asked or told[:1], told, answered, who, other)


def _informative(text: str) -> list[str]:
    return [
        sentence
        for sentence in sentences(text)
        if len(sentence.split()) >= INFORMATIVE_WORDS and not is_closing(sentence)
    ]


def summary(chat: Chat, said: Reading, rng: random.Random, limit: int = 60) -> str:
    """Need, one or two details, outcome: at most about `limit` words."""
    parts = [need(chat, said, rng)]
    middle = [told for told in (*said.told[:2], *said.answered[:2]) if told != said.outcome]
    parts += rng.sample(middle, min(len(middle), rng.choice([0, 1, 1, 2])))
    if known := _facts_sentence(chat, said, " ".join(parts), rng):
        parts.append(known)
    return " ".join([*_fitting(parts, limit - len(said.outcome.split())), said.outcome]).strip()


def _fitting(parts: Sequence[str], limit: int) -> list[str]:
    kept = [parts[0]]
    for part in parts[1:]:
        if sum(len(done.split()) for done in (*kept, part)) <= limit:
            kept.append(part)
    return kept


def need(chat: Chat, said: Reading, rng: random.Random) -> str:
    """What the customer wanted: their first request restated, or now and then what the data calls it."""
    if chat.wants and rng.random() < 0.1:
        return f"{said.who} wanted to {' and '.join(dict.fromkeys(chat.wants[:2]))}."
    return " ".join(said.asked[:2]) if len(" ".join(said.asked[:2]).split()) < 32 else said.asked[0]


def _facts_sentence(chat: Chat, said: Reading, already: str, rng: random.Random) -> str:
    fresh = [(key, value) for key, value in chat.facts.items() if value.lower() not in already.lower()]
    picked = rng.sample(fresh, min(len(fresh), rng.choice([0, 1, 2, 3])))
    return "The " + " and the ".join(f"{key} is {value}" for key, value in picked) + "." if picked else ""


def whole(chat: Chat, said: Reading, rng: random.Random) -> tuple[str, str]:
    return rng.choice(WHOLE), summary(chat, said, rng)


def brief(chat: Chat, said: Reading, rng: random.Random) -> tuple[str, str]:
    return rng.choice(BRIEF), f"{need(chat, said, rng)} {said.outcome}"


def note(chat: Chat, said: Reading, rng: random.Random) -> tuple[str, str]:
    known = _facts_sentence(chat, said, "", rng)
    return rng.choice(NOTE), f"{need(chat, said, rng)} {known} {said.outcome}".replace("  ", " ")


def needs(chat: Chat, said: Reading, rng: random.Random) -> tuple[str, str]:
    further = {True: "Nothing is left to do.", False: "The matter is still open.", None: ""}[said.solved]
    return rng.choice(NEEDS), f"{need(chat, said, rng)} {said.outcome} {further}".strip()


def want(chat: Chat, said: Reading, rng: random.Random) -> tuple[str, str]:
    return rng.choice(WANT), need(chat, said, rng)


def end(chat: Chat, said: Reading, rng: random.Random) -> tuple[str, str]:
    return rng.choice(END), said.outcome


def solved(chat: Chat, said: Reading, rng: random.Random) -> tuple[str, str]:
    word = {True: "Yes.", False: "No.", None: "It is not clear."}[said.solved]
    return rng.choice(SOLVED), f"{word} {said.outcome}"


def fact(chat: Chat, said: Reading, rng: random.Random) -> tuple[str, str]:
    key, value = rng.choice(sorted(chat.facts.items())) if chat.facts else ("refund amount", "It is not mentioned.")
    return rng.choice(FACT).replace("{label}", key), value


def facts(chat: Chat, said: Reading, rng: random.Random) -> tuple[str, str]:
    return rng.choice(FACTS), ", ".join(
        f"{key}: {value}" for key, value in list(chat.facts.items())[:6]
    ) or "No details were given."


def title(chat: Chat, said: Reading, rng: random.Random) -> tuple[str, str]:
    return rng.choice(TITLE), (chat.wants[0] if chat.wants else "order a coffee").capitalize()


def last_said(chat: Chat, said: Reading, rng: random.Random) -> tuple[str, str]:
    who = rng.choice(sorted({turn.speaker for turn in chat.dialogue.turns}))
    spoken = [turn.text for turn in chat.dialogue.turns if turn.speaker == who]
    return rng.choice(LAST_SAID).replace("{who}", who), " ".join(spoken[-1].split()[:50])


def who_said(chat: Chat, said: Reading, rng: random.Random) -> tuple[str, str]:
    turn = rng.choice(chat.dialogue.turns)
    return rng.choice(WHO).replace("{quote}", " ".join(turn.text.split()[:12])), turn.speaker


def restate(chat: Chat, said: Reading, rng: random.Random) -> tuple[str, str]:
    """One turn, restated: the shortest road to copying."""
    turn = rng.choice([turn for turn in chat.dialogue.turns if _informative(turn.text)])
    spoken = _informative(turn.text)[:3]
    by_agent = turn.speaker == said.other or turn.speaker in {agent for _, agent in LABELS}
    told = [said_by_agent(one, said.other) if by_agent else said_by_customer(one, said.who) for one in spoken]
    return rng.choice(RESTATE).replace("{who}", turn.speaker).replace(
        "{dialogue}", f"{turn.speaker}: {turn.text}"
    ), " ".join(told)


Task = Callable[[Chat, Reading, random.Random], tuple[str, str]]
RATES: dict[Task, float] = {
    whole: 8, brief: 4, note: 3, needs: 3, want: 2, end: 2, solved: 1, fact: 2, facts: 1, title: 0.5, last_said: 1, who_said: 0.5, restate: 3,
}  # fmt: skip
PER_CHAT = {"sgd": 3, "star": 5, "taskmaster": 1, "multidogo": 2}
PUBLIC = {
    "gigaword", "xsum", "common_gen", "dream", "paws", "adversarial_qa", "task1290_xsum_summarization",
    "task1729_personachat_generate_next",
}  # fmt: skip
LONGEST_PROMPT, LONGEST_ANSWER = 1800, 400  # characters; longer public examples cost more than they teach here


def cases(data: Path, seed: int = 0) -> Iterator[Case]:
    """Every case of the mixture, the same for the same seed; held-out chats never appear."""
    rng = random.Random(seed)
    for chat in chats(data):
        if not held_out(chat):
            for _ in range(PER_CHAT[chat.dialogue.id.partition("-")[0]]):
                yield from dialogue_case(chat, rng)
    yield from public(data)


def beginnings(data: Path, seed: int = 0) -> Iterator[Case]:
    """The same tasks on two or three turns: five of them cost what one whole chat costs, and copying is learnt here."""
    rng = random.Random(seed + 1)
    for chat in chats(data):
        if not held_out(chat):
            for _ in range(3):
                yield from dialogue_case(cut(chat, rng, 3), rng)


def held_out(chat: Chat) -> bool:
    """True for the one chat in fifty that the recipe keeps for its own probe."""
    return zlib.crc32(chat.dialogue.id.encode()) % 50 == 0


def dialogue_case(chat: Chat, rng: random.Random) -> Iterator[Case]:
    """One task on a variation of the chat; nothing where the variation holds nothing to say."""
    chat = varied(chat, rng) if rng.random() < 0.7 else chat
    chat = cut(chat, rng) if rng.random() < 0.35 else chat
    dialogue, who, other = labelled(chat, rng)
    said = read(chat, who, other)
    if said.asked and said.answered:
        task = rng.choices(list(RATES), list(RATES.values()))[0]
        pattern, answer = task(replace(chat, dialogue=dialogue), said, rng)
        yield Case(task.__name__, pattern.replace("{dialogue}", dialogue.text), answer)


def denoising(data: Path, seed: int = 0) -> Iterator[str]:
    """Plain text for span corruption: stretches of the chats, and the public articles."""
    rng = random.Random(seed)
    for chat in chats(data):
        if not held_out(chat):
            yield labelled(cut(varied(chat, rng), rng), rng)[0].text
    yield from (case.prompt[:800] for case in public(data))


def public(data: Path) -> Iterator[Case]:
    """The short, summary-like tasks of the prompted public sets."""
    corpus = data / "corpus"
    prompted = (Case(row["dataset"], row["input"], row["output"]) for row in records(corpus / "t0_train_50k.jsonl.gz"))
    defined = (
        Case(row["task"], f"{row['definition']}\n\n{row['input']}", row["output"][0])
        for row in records(corpus / "superni_sapt_train.jsonl.gz")
    )
    meetings = (
        Case("qmsum", f"{row['query']}\n\n{row['dialogue']}", row["summary"])
        for row in records(corpus / "qmsum_spans.jsonl.gz")
    )
    for case in chain((one for one in chain(prompted, defined) if one.task in PUBLIC), meetings):
        if len(case.prompt) <= LONGEST_PROMPT and 0 < len(case.answer) <= LONGEST_ANSWER:
            yield case
