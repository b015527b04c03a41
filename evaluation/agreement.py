"""Which turns of a chat agree with a value of the summary, also where the chat writes it in a looser way."""

from __future__ import annotations

import re

from evaluation.evidence import IMPLIED, Chat, Said
from evaluation.mentions import AMOUNT, DATE, ID, NUMBER, Mention, code_key


def value_turns(chat: Chat, mention: Mention) -> list[int]:
    """The turns whose values agree with the mention in any of its readings, ascending; empty when none does."""
    turns = {turn for key in mention.keys for turn in chat.values.get((mention.kind, key), ())}
    if mention.kind == AMOUNT:
        same = [said for said in chat.said if said.mention.kind == AMOUNT and said.mention.keys & mention.keys]
        clash = {said.turn for said in same if _other_currency(said, mention)}
        clash -= {said.turn for said in same if not _other_currency(said, mention)}
        turns = {*turns, *(turn for key in mention.keys for turn in chat.values.get((NUMBER, key), ()))} - clash
    if mention.kind == NUMBER and not turns:
        joined = (ID, mention.family)  # a range, `3-5`, in a chat that lost its marks: `35`
        turns = {turn for key in mention.keys for turn in chat.values.get((IMPLIED, key), ())} | set(
            chat.values.get(joined, ())
        )
    if mention.kind == DATE and not turns:
        turns = _loose_date_turns(chat, mention)
    if mention.kind == ID and not turns and mention.family in ("address", "phone"):
        key = next(iter(mention.keys))
        turns = set(range(chat.size)) if key in code_key(chat.text) else set()
    return sorted(turns)


def _other_currency(said: Said, mention: Mention) -> bool:
    return bool(said.mention.family and mention.family and said.mention.family != mention.family)


def _loose_date_turns(chat: Chat, mention: Mention) -> set[int]:
    """`3 pm` by "at 3", `13:23` by "the 1323", `March 4` by "the 4th", `Friday` by "fri"."""
    if mention.family in ("weekday", "relative"):
        return {
            turn for key in mention.keys for form in _SHORT.get(key, (key,)) for turn in chat.turns_of.get(form, ())
        }
    if mention.family == "month":
        months = {key.partition("-")[0] + "-" for key in mention.keys}
        return {
            turn
            for (kind, key), turns in chat.values.items()
            if kind == DATE and any(key.startswith(m) for m in months)
            for turn in turns
        }
    found: set[int] = set()
    for key in mention.keys:
        numbers = [int(part) for part in re.findall(r"\d+", key)]
        found |= _clock_turns(chat, *numbers) if mention.family == "clock" else _calendar_turns(chat, *numbers)
    return found


_SHORT = {
    "mon": ("mon",), "tue": ("tue", "tues"), "wed": ("wed",), "thu": ("thu", "thur", "thurs"), "fri": ("fri",), "sat": ("sat",),
    "sun": ("sun",), "tomorrow": ("tomorrow", "tmrw", "tmr", "tomo", "2moro", "tommorow"), "yesterday": ("yesterday", "ydy"),
}  # fmt: skip


_ORDINAL = ("st", "nd", "rd", "th")  # what follows the digits of a day
_DOTTED = re.compile(r"\d{1,2}\.[0-5]\d?")  # 1.30, with the last 0 gone in its key


def _hour_minute(key: str) -> tuple[int, int]:
    hour, _, minute = key.partition(".")
    return int(hour), int(minute.ljust(2, "0"))


_AT = frozenset(
    [
        "at",
        "by",
        "before",
        "after",
        "until",
        "till",
        "around",
        "about",
        "to",
        "from",
        "between",
        "and",
        "or",
        "past",
        "since",
    ]
)


def _numbers(chat: Chat, value: int) -> set[int]:
    return set(chat.values.get((NUMBER, str(value)), ()))


def _clock_turns(chat: Chat, hour: int, minute: int) -> set[int]:
    hours = {hour, hour % 12 or 12}
    said = set(chat.values.get((DATE, f"{hour:02}:{minute:02}"), ())) | set(
        chat.values.get((DATE, f"{hour + 12:02}:{minute:02}"), ())
    )
    whole = said | {turn for h in hours for turn in _numbers(chat, h * 100 + minute)}
    if minute:
        return whole | ({turn for h in hours for turn in _numbers(chat, h)} & _numbers(chat, minute))
    bare = [said for said in chat.said if said.mention.kind == NUMBER and said.lead in _AT]
    return whole | {said.turn for said in bare if said.mention.keys & {str(h) for h in hours}}


def _calendar_turns(chat: Chat, month: int, day: int, year: int = 0) -> set[int]:
    if year:  # the chat may leave the year out, or say another one
        return set(chat.values.get((DATE, f"{month}-{day}"), ()))
    dated = {
        turn
        for (kind, key), turns in chat.values.items()
        if kind == DATE and key.startswith(f"{month}-{day}-")
        for turn in turns
    }
    if dated or any(said.mention.family == "calendar" for said in chat.said):
        return dated | {said.turn for said in chat.said if said.mention.keys == {str(day)} and said.unit in _ORDINAL}
    return _numbers(chat, day) | set(chat.values.get((IMPLIED, str(day)), ()))
