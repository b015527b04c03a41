"""Hand-written situations become the sample chats we ship: values, wordings and a customer's manner, drawn by seed."""

from __future__ import annotations

import argparse
import calendar
import random
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dialogues.dialogue import SPLITS, Dataset, Dialogue, Example, Problem, Refused, Turn

MONTHS = tuple(calendar.month_name[1:])
WEEKDAYS = tuple(calendar.day_name[:6])
GLAD = re.compile(r"(?<!no )\b(?:thank(?!s for nothing)|thx|bless|perfect|phew|brilliant)", re.IGNORECASE)
UPSET = re.compile(r"[?!]|n't\b|\b(?:no|not|never|nobody|nothing|still|wrong|late|lost|missing|joke)\b", re.IGNORECASE)
ANGRY = re.compile(r"!|\b(?:joke|lie|lawyer|nobody|unbelievable|ridiculous|outrageous)\b", re.IGNORECASE)
GLAD_EMOJI, UPSET_EMOJI = (" 🙏", " 😊", " 🙂"), (" 😕", " :(", " :/")
CHATS_PER_SITUATION = 10
BUILT_IN = frozenset(
    (
        *("customer", "customer_full", "agent", "company", "order", "ticket", "amount", "amount2", "date", "date2"),
        *("time", "weekday", "days", "count", "email", "phone_last4", "city", "city2"),
    )
)
FACT_KEYS = ("problem", "action", "outcome", "next_step")
PLACEHOLDER = re.compile(r"\{(\w+)\}")


Names = Mapping[str, Sequence[str]]  # first_names, last_names, agents, companies, cities


class SituationRefused(Refused):
    """A situations file breaks a rule of the format; every broken rule is named."""


@dataclass(frozen=True, slots=True)
class Line:
    """One turn before it is spoken: who, the wordings that may be used, and whether it may be left out."""

    who: str
    wordings: tuple[str, ...]
    optional: bool

    @property
    def certain(self) -> set[str]:
        """The placeholders that are said whichever wording is drawn; none for a turn that may be left out."""
        if self.optional:
            return set()
        return set.intersection(*(set(PLACEHOLDER.findall(wording)) for wording in self.wordings))


@dataclass(frozen=True, slots=True)
class Ending:
    """One way a situation goes: its turns, facts and the two people's summaries, each in several wordings."""

    outcome: str
    lines: tuple[Line, ...]
    facts: Mapping[str, str]
    references: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Situation:
    """A reason to write to support, with everything that may vary about it."""

    id: str
    topic: str
    split: str
    values: Mapping[str, tuple[str, ...]]
    endings: tuple[Ending, ...]

    def problems(self) -> Iterator[Problem]:
        """Every rule this situation breaks: facts said in the chat, 6-20 turns, enough wordings, two references."""
        for ending in self.endings:
            yield from self._ending_problems(ending)
        if self.split not in SPLITS:
            yield Problem(f"{self.id}: split is {self.split!r}.", f"Use one of {', '.join(SPLITS)}.")

    def _ending_problems(self, ending: Ending) -> Iterator[Problem]:
        where = f"{self.id}, {ending.outcome}"
        said = {"customer"}.union(*(line.certain for line in ending.lines))
        summaries = (wording for reference in ending.references for wording in reference)
        told = set(PLACEHOLDER.findall(" ".join((*ending.facts.values(), *summaries))))
        asked = {name for line in ending.lines for wording in line.wordings for name in PLACEHOLDER.findall(wording)}
        if missing := told - said:
            yield Problem(
                f"{where}: a summary or fact tells {sorted(missing)}, the chat may not.",
                "Say them in every wording of one turn.",
            )
        if unknown := asked - set(self.values) - BUILT_IN:
            yield Problem(f"{where}: nobody knows {sorted(unknown)}.", "Add them to values.")
        certain = sum(not line.optional for line in ending.lines)
        if certain < 6 or len(ending.lines) > 20:
            yield Problem(f"{where}: {certain} to {len(ending.lines)} turns.", "Keep to 6 to 20.")
        if len(ending.references) != 2 or any(len(reference) < 3 for reference in ending.references):
            yield Problem(f"{where}: references.", "Give two people's summaries in three wordings each.")


def read_situations(folder: Path) -> list[Situation]:
    """All situations of the folder's YAML files, in file order. Raises SituationRefused with every problem found."""
    files = sorted(folder.glob("*.yaml"))
    situations = [_situation(record) for path in files for record in yaml.safe_load(path.read_text("utf-8"))]
    if problems := [problem for situation in situations for problem in situation.problems()]:
        raise SituationRefused(*problems)
    return situations


def _situation(record: Mapping[str, Any]) -> Situation:
    opening = tuple(map(_line, record["opening"]))
    endings = tuple(
        Ending(
            ending["outcome"],
            opening + tuple(map(_line, ending["turns"])),
            {key: str(value) for key, value in ending["facts"].items() if value},
            tuple(map(tuple, ending["references"])),
        )
        for ending in record["endings"]
    )
    values = {name: tuple(map(str, choices)) for name, choices in record.get("values", {}).items()}
    return Situation(record["id"], record["topic"], record["split"], values, endings)


def _line(record: Mapping[str, Sequence[str]]) -> Line:
    ((who, wordings),) = record.items()
    return Line(who.rstrip("?"), tuple(wordings), who.endswith("?"))


def make_dataset(situations: Sequence[Situation], names: Names, seed: int = 7) -> Dataset:
    """Ten chats a situation, endings in turn; the same seed gives the same chats."""
    splits: dict[str, list[Example]] = {split: [] for split in SPLITS}
    for situation in situations:
        for number in range(CHATS_PER_SITUATION):
            rng = random.Random(f"{seed}/{situation.id}/{number}")
            ending = situation.endings[number % len(situation.endings)]
            splits[situation.split].append(
                make_chat(situation, ending, f"{situation.id}-{number:02d}", draw_values(names, rng), rng)
            )
    return Dataset("Sample support chats", {split: tuple(examples) for split, examples in splits.items()})


def make_chat(
    situation: Situation, ending: Ending, chat_id: str, values: dict[str, str], rng: random.Random
) -> Example:
    """One chat with its two references and facts, all speaking of the same drawn values."""
    values = values | {name: rng.choice(choices) for name, choices in situation.values.items()}
    manner = rng.choice(MANNERS)
    unsaid = not any({"customer", "customer_full"} & line.certain for line in ending.lines)
    named = rng.random() < 0.3 or unsaid  # some exports carry first names, most carry roles
    speakers = {"customer": values["customer"] if named else "Customer", "agent": values["agent"] if named else "Agent"}
    turns = []
    for line in ending.lines:
        wording = rng.choice(line.wordings)
        if line.optional and rng.random() < 0.5:
            continue
        text = _fill(wording, values) if line.who == "agent" else manner(wording, values, rng)
        turns.append(Turn(speakers[line.who], text))
    references = tuple(_fill(rng.choice(reference), values) for reference in ending.references)
    said = " ".join(wording for line in ending.lines for wording in line.wordings if not line.optional)
    facts = {"situation": situation.id, "customer": values["customer"], "result": ending.outcome}
    facts |= {key: _fill(ending.facts[key], values) for key in FACT_KEYS if key in ending.facts}
    facts |= {name: values[name] for name in ("order", "ticket", "amount", "date") if f"{{{name}}}" in said}
    return Example(Dialogue(chat_id, tuple(turns)), references, situation.topic, facts)


def draw_values(names: Names, rng: random.Random) -> dict[str, str]:
    """One consistent set of the built-in values, the keys of BUILT_IN."""
    customer, last, agent = (rng.choice(names[kind]) for kind in ("first_names", "last_names", "agents"))
    month, day = rng.randrange(12), rng.randint(1, 20)
    letters = "".join(rng.choices(string.ascii_uppercase, k=2))
    cents = rng.choice(("00", "50", "90", "95", "99"))
    amount = rng.randint(24, 420)
    city, city2 = rng.sample(names["cities"], 2)
    return {
        "customer": customer,
        "customer_full": f"{customer} {last}",
        "agent": agent,
        "company": rng.choice(names["companies"]),
        "order": rng.choice((f"{letters}-", letters, "#")) + str(rng.randint(10000, 999999)),
        "ticket": f"{rng.choice('CTS')}-{rng.randint(10000, 99999)}",
        "amount": f"${amount}.{cents}",
        "amount2": f"${rng.randint(5, min(38, amount // 2))}.{rng.choice(('00', '50', '99'))}",
        "date": f"{MONTHS[month]} {day}",
        "date2": f"{MONTHS[month]} {day + rng.randint(2, 8)}",
        "time": f"{rng.randint(1, 5)}:{rng.choice(('00', '15', '30', '45'))} pm",
        "weekday": rng.choice(WEEKDAYS),
        "days": str(rng.randint(2, 14)),
        "count": str(rng.randint(2, 6)),
        "email": f"{customer.lower()}.{last.lower()}@example.{rng.choice(('com', 'org'))}",
        "phone_last4": str(rng.randint(1000, 9999)),
        "city": city,
        "city2": city2,
    }


def _fill(wording: str, values: Mapping[str, str]) -> str:
    """The wording with its placeholders replaced; a sentence that begins with a value begins with a capital."""
    text = PLACEHOLDER.sub(lambda match: values[match[1]], wording)
    return text[:1].upper() + text[1:]


# How a customer types. Each takes the wording before its values are filled in, so that no id or name is ever misspelt.


def _plain(wording: str, values: Mapping[str, str], rng: random.Random) -> str:
    return PLACEHOLDER.sub(lambda match: values[match[1]], wording)


def _lower_case(wording: str, values: Mapping[str, str], rng: random.Random) -> str:
    return _plain(re.sub(r"(?<![.\w])\.$", "", wording.lower()).rstrip("."), values, rng)


def _hasty(wording: str, values: Mapping[str, str], rng: random.Random) -> str:
    """One or two slips of the finger in longer words: neighbours swapped, a letter lost or doubled."""
    words = wording.split(" ")
    long_words = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    for i in rng.sample(long_words, min((len(long_words) + 1) // 2, rng.choice((0, 0, 1, 1, 2)))):
        word, at = words[i], rng.randint(1, len(words[i]) - 3)
        swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        words[i] = rng.choice((swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]))
    return _plain(" ".join(words), values, rng)


def _loud(wording: str, values: Mapping[str, str], rng: random.Random) -> str:
    """Exclamation marks after what is felt; a turn of anger that names no value is at times shouted as a whole."""
    text, glad = wording.rstrip("."), bool(GLAD.search(wording))
    if not (glad or UPSET.search(wording)):
        return _plain(text, values, rng)
    if not glad and ANGRY.search(text) and "{" not in text and rng.random() < 0.35:
        text = text.upper()
    mark = rng.choice(("", "", "?")) if text.endswith("?") else rng.choice(("", "", "!", "!!"))
    return _plain(text + mark, values, rng)


def _with_emoji(wording: str, values: Mapping[str, str], rng: random.Random) -> str:
    """Emoji that suit the turn: thanks get a friendly one, questions and complaints a worried one, the rest none."""
    suited = GLAD_EMOJI if GLAD.search(wording) else UPSET_EMOJI if UPSET.search(wording) else ("",)
    return _plain(wording, values, rng) + (rng.choice(suited) if rng.random() < 0.45 else "")


MANNERS = (_plain, _plain, _plain, _lower_case, _lower_case, _hasty, _hasty, _loud, _with_emoji)


def main() -> None:
    """`python -m dialogues.situations assets` writes the sample set again from `assets/situations`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("assets", type=Path)
    assets: Path = parser.parse_args().assets
    names = yaml.safe_load((assets / "names.yaml").read_text("utf-8"))
    dataset = make_dataset(read_situations(assets / "situations"), names)
    dataset.save(assets / "chats")
    print({split: len(examples) for split, examples in dataset.splits.items()}, dataset.digest)


if __name__ == "__main__":
    main()
