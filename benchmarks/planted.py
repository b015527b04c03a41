"""How many planted errors the grounding check finds: `python -m benchmarks.planted [FILE …] [--show KIND]`.

Each sentence of a true reference is judged as it stands (a flag there is a false alarm) and again with one error planted:
a name, number, amount, date or id that the chat does not have, a denial added or taken away, a doubt added, the speakers in each other's
place, or a sentence of another chat's summary. Without FILE the shipped test chats are used; shares carry 95 % bootstrap
intervals over sentences. Another value counts as found when the flag is on it, the other errors when the sentence is flagged.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from benchmarks.grounding import SHIPPED, percent
from dialogues.dialogue import Dialogue, Example, read_examples
from dialogues.upload import read_upload
from evaluation.grounding import GROUNDING, check
from evaluation.mentions import AMOUNT, DATE, ID, NUMBER, Mention, spot
from evaluation.polarity import read

SEED = 7
NAMES = Path(__file__).resolve().parents[1] / "assets" / "names.yaml"
ROLES = {"customer": "agent", "agent": "customer"}
AUXILIARY = r"\b(is|are|was|were|can|could|will|would|has|had|should|did|does|do)\b"
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "February", "March", "April", "June", "July", "August", "September", "October", "November"]


@dataclass(frozen=True, slots=True)
class Planted:
    """A sentence with one error in it: of which kind, and where (None: all of the sentence is wrong)."""

    text: str
    kind: str
    span: tuple[int, int] | None = None

    def found(self, dialogue: Dialogue) -> bool:
        low, high = self.span or (0, len(self.text))
        return any(one.unsupported and one.start < high and low < one.end for one in check(self.text, dialogue))


def plant(sentence: str, example: Example, foreign: str, rng: random.Random) -> Iterator[Planted]:
    """Every error that this sentence can carry, each in a copy of its own."""
    said = " ".join(f"{turn.speaker} {turn.text}" for turn in example.dialogue.turns).casefold()
    for mention in spot(sentence):
        other = _other_value(sentence[mention.start : mention.end], mention, said, rng)
        if other:
            yield _replaced(sentence, (mention.start, mention.end), other, mention.kind)
    speakers = list(dict.fromkeys(turn.speaker for turn in example.dialogue.turns))
    if name := _a_name(sentence, said, speakers):
        yield _replaced(sentence, name, _absent(_names(), said, rng), "name")
    for negated in (_denied(sentence), _undenied(sentence)):
        if negated:
            yield Planted(negated, "negation")
    if doubted := _doubted(sentence):
        yield doubted
    if swapped := _swapped(sentence, speakers):
        yield Planted(swapped, "roles")
    yield Planted(foreign, "other chat")


def _replaced(sentence: str, span: tuple[int, int], other: str, kind: str) -> Planted:
    text = sentence[: span[0]] + other + sentence[span[1] :]
    return Planted(text, kind, (span[0], span[0] + len(other)))


def _other_value(text: str, mention: Mention, said: str, rng: random.Random) -> str:
    """A value of the same sort that the chat does not hold; "" where none can be made of it."""
    makers: dict[str, Callable[[], str]] = {
        NUMBER: lambda: re.sub(r"\d+|[a-z]+(?:[ -][a-z]+)*", str(rng.randint(2, 99)), text.lower(), count=1),
        AMOUNT: lambda: re.sub(r"\d[\d.,]*|^[a-z]+(?=\s)", f"{rng.randint(2, 999)}", text.lower(), count=1),
        DATE: partial(_other_date, text, mention.family, rng),
        ID: lambda: re.sub(r"\d", lambda _: str(rng.randint(0, 9)), text) if re.search(r"\d\d", text) else "",
    }
    for _ in range(20):
        other = makers[mention.kind]()
        (again,) = found if len(found := spot(other)) == 1 else (None,)
        if again and again.kind == mention.kind and not again.keys & mention.keys and not _says(said, other):
            return other
    return ""


def _other_date(text: str, family: str, rng: random.Random) -> str:
    if family == "weekday":
        return rng.choice(DAYS)
    if family == "month":
        return rng.choice(MONTHS)
    if family in ("clock", "calendar") and re.search(r"\d", text):
        return re.sub(r"\d+", str(rng.randint(1, 12)), text, count=1)
    return ""


def _says(said: str, value: str) -> bool:
    """Whether the chat holds the value's telling part: its digits, or its word."""
    return any(
        re.search(rf"(?<!\w){re.escape(part)}(?!\w)", said) for part in re.findall(r"\d+|[a-z]{3,}", value.casefold())
    )


def _a_name(sentence: str, said: str, speakers: Sequence[str]) -> tuple[int, int] | None:
    """A capitalised word inside the sentence, or a speaker called by name, which the chat has."""
    for match in re.finditer(r"(?<=[a-z,] )[A-Z][a-z]{2,}\b|^[A-Z][a-z]{2,}\b", sentence):
        known = match[0] in speakers or match.start() > 0
        if known and match[0].casefold() not in ROLES and match[0].casefold() in said:
            return match.span()
    return None


def _names() -> list[str]:
    lists = yaml.safe_load(NAMES.read_text(encoding="utf-8"))
    return [name for kind in ("first_names", "companies", "cities") for name in lists[kind] if " " not in name]


def _absent(names: Sequence[str], said: str, rng: random.Random) -> str:
    return rng.choice([name for name in names if name.casefold() not in said])


def _denied(sentence: str) -> str:
    if re.search(r"\b(not|no|never|without|unable|cannot)\b|n['’]?t\b", sentence, re.I):
        return ""
    denied, count = re.subn(AUXILIARY, r"\1 not", sentence, count=1, flags=re.I)
    if count:
        return denied
    denied, count = re.subn(r"^((?:The )?\w+#?) (\w+ed)\b", r"\1 never \2", sentence, count=1)
    return denied if count else ""


def _undenied(sentence: str) -> str:
    plain, count = re.subn(AUXILIARY + r" not\b", r"\1", sentence, count=1, flags=re.I)
    if not count:
        plain, count = re.subn(
            r"\b(is|are|was|were|could|would|has|had|did|does|do)n['’]?t\b", r"\1", sentence, count=1
        )
    if not count:
        plain, count = re.subn(r"\bcan(?:no|['’]?)t\b", "can", sentence, count=1)
    return plain if count else ""


def _doubted(sentence: str) -> Planted | None:
    """What will be becomes what might be."""
    if re.search(r"\bnot\b|n['’]t\b", sentence) or not (will := re.search(r"\bwill\b", sentence)):
        return None
    return _replaced(sentence, will.span(), "might", "modality")


def _swapped(sentence: str, speakers: Sequence[str]) -> str:
    """The two sides in each other's place; "" where the sentence names none, or both side by side."""
    other = dict(ROLES)
    if len(speakers) == 2:
        first, second = (speaker.strip("#") for speaker in speakers)
        other |= {first.casefold(): second, second.casefold(): first}
    sides = "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in sorted(other, key=len, reverse=True))
    if re.search(rf"(?:{sides})#? (?:and|or|&) (?:the )?#?(?:{sides})", sentence, re.I):
        return ""
    swapped = re.sub(sides, lambda side: _like(side[0], other[side[0].casefold()]), sentence, flags=re.I)
    return swapped if swapped != sentence else ""


def _like(old: str, new: str) -> str:
    return new.capitalize() if old[0].isupper() and new.islower() else new


def sentences(examples: Sequence[Example]) -> list[tuple[str, Example]]:
    """Every sentence of every reference with its chat."""
    return [
        (reference[one.start : one.end].strip(), example)
        for example in examples
        for reference in example.references
        for one in read(reference)
    ]


def far_sentence(told: Sequence[tuple[str, Example]], at: int) -> str:
    """A sentence of another chat's summary, half the file away."""
    far = (at + len(told) // 2) % len(told)
    return next(text for text, example in [*told[far:], *told] if example is not told[at][1])


def show(name: str, examples: Sequence[Example], shown: str) -> None:
    """Print the false alarms and the share found of each kind; with `shown`, what was missed of that kind."""
    rng = random.Random(SEED)
    told = sentences(examples)
    alarms = [any(verdict.unsupported for verdict in check(text, example.dialogue)) for text, example in told]
    print(f"\n{name}: {len(examples)} chats, {len(told)} sentences, {GROUNDING}\n  false alarms  {percent(alarms)}")
    found = defaultdict[str, list[bool]](list)
    for at, (text, example) in enumerate(told):
        for planted in plant(text, example, far_sentence(told, at), rng):
            found[planted.kind].append(planted.found(example.dialogue))
            if planted.kind == shown and not found[shown][-1]:
                print(f"    missed: {planted.text}    was: {text}")
    for kind in (NUMBER, AMOUNT, DATE, ID, "name", "negation", "modality", "roles", "other chat"):
        print(f"  {kind:<12}  {percent(found[kind]) if found[kind] else 'none to plant'}  of {len(found[kind])}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--show", default="", metavar="KIND", help="print the errors of this kind that were missed")
    given = parser.parse_args()
    for path in given.files:
        show(path.name, [example for _, example in read_upload(path, path.name).examples], given.show)
    if not given.files:
        show("shipped test chats", list(read_examples(SHIPPED)), given.show)


if __name__ == "__main__":
    main()
