"""Numbers as people write them: digits with separators, words, and scales such as k or million."""

from __future__ import annotations

import re

UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
WORDS = {word: value for value, word in enumerate(UNITS.split())}
WORDS |= {
    word: 10 * n
    for n, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
}
SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_WORD = "|".join(sorted([*WORDS, *SCALES], key=len, reverse=True))
SPELLED = rf"(?:{_WORD})(?:(?:\s+and\s+|\s*-\s*|\s+)(?:{_WORD})){{0,7}}"
DIGITS = r"(?:\d{1,3}(?:,\s?\d{3})+(?!\d)|\d+)(?:\.\d+)?"
VALUE = rf"(?:{DIGITS}|(?:an?\s+)?{SPELLED})(?:\s?(?:k|m|bn|thousand|million|billion|hundred)\b)?"
_SCALE_LETTERS = {"k": 1e3, "m": 1e6, "bn": 1e9, **SCALES}


def number_key(value: float) -> str:
    """One spelling a value: 20, 20.0 and 20.00 are `20`."""
    return f"{value:.4f}".rstrip("0").rstrip(".")


def spelled(words: str) -> list[float]:
    """The values of number words said one after another: `twenty-five` is [25], `two three` is [2, 3]."""
    values: list[float] = []
    total = group = 0
    open_tens = started = False
    for word in re.findall(r"[a-z]+", words.lower()):
        if word in ("a", "an", "and"):
            continue
        if word == "dozen" or word in SCALES:
            scale = SCALES.get(word, 12)
            total, group = (total, max(group, 1) * scale) if scale == 100 else (total + max(group, 1) * scale, 0)
            open_tens, started = True, True
            continue
        value = WORDS[word]
        fits = not started or (
            open_tens and (group % 100 == 0 or (group % 10 == 0 and group % 100 >= 20 and 0 < value < 10))
        )
        if not fits:
            values.append(total + group)
            total = group = 0
        group, started = group + value, True
        open_tens = value >= 20 or (open_tens and value == 0)
    return [*values, total + group] if started else values


def value_of(text: str) -> float:
    """The value of what `VALUE` matches: `1,200.50`, `5k`, `a hundred`."""
    digits = re.match(rf"{DIGITS}", text)
    if not digits:
        values = spelled(text)
        return values[-1] if values else 1
    scale = text[digits.end() :].strip().lower()
    return float(re.sub(r"[,\s]", "", digits[0])) * _SCALE_LETTERS.get(scale, 1)
