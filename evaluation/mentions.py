"""Amounts, dates, times, ids and numbers spotted in a text, each with the values it may stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from evaluation.numerals import DIGITS, SCALES, SPELLED, UNITS, VALUE, WORDS, number_key, spelled, value_of

Spotter = tuple[re.Pattern[str], Callable[[re.Match[str]], Iterator["Mention"]]]

AMOUNT, DATE, ID, NUMBER = "amount", "date", "id", "number"


@dataclass(frozen=True, slots=True)
class Mention:
    """One stretch of a text that names a value.

    `keys` are the readings it allows, in one canonical spelling: `03/04` has two, March 4 and 3 April. Two mentions of
    one kind say the same when they share a key. `family` narrows the kind (clock, calendar, weekday, relative), so that
    a time is never held against a weekday; for amounts it is the currency, empty when unknown; for numbers the digits of
    the range they are in.
    """

    start: int
    end: int
    kind: str
    keys: frozenset[str]
    family: str = ""


_CURRENCIES = {
    "usd": "$ us$ usd dollar dollars buck bucks", "eur": "€ eur euro euros", "gbp": "£ gbp pound pounds quid sterling",
    "jpy": "¥ jpy yen", "inr": "₹ inr rs rs. rupee rupees", "krw": "₩ krw", "cny": "cny rmb yuan",
    "aud": "a$ aud", "cad": "c$ ca$ cad", "cent": "cent cents ¢", "pence": "pence",
}  # fmt: skip
_CURRENCY = {spelling: code for code, spellings in _CURRENCIES.items() for spelling in spellings.split()}
_BEFORE = r"(?:(?:us|ca|a|c)?\$|[€£¥₹₩]|\b(?:usd|eur|gbp|jpy|inr|krw|cny|rmb|aud|cad|rs)\b\.?)"
_AFTER = (
    r"(?:[$€£¥₹₩¢]|(?:usd|eur|gbp|jpy|inr|krw|cny|rmb|aud|cad|dollars?|bucks?|euros?|pounds?|quid|sterling|yen|"
    r"rupees?|yuan|cents?|pence)\b)"
)
_AMOUNT = re.compile(
    rf"(?P<before>{_BEFORE})\s?(?P<value>{VALUE})(?:\s?{_AFTER})?|\b(?P<value2>{VALUE})[\s-]?(?P<after>{_AFTER})",
    re.I,
)

_MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"]  # fmt: skip
_MONTH = rf"(?P<month>(?:{'|'.join(_MONTHS)})\b|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b(?:\.(?=\s*\d))?)"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_MONTH_DAY = re.compile(rf"\b{_MONTH}\s*(?:the\s)?{_DAY}(?![\d:%]|\s?[ap]\.?m\b)(?:,?\s*{_YEAR}\b)?", re.I)
_DAY_MONTH = re.compile(rf"\b{_DAY}\s*(?:of\s)?{_MONTH}(?:,?\s*{_YEAR}\b)?", re.I)
_ISO = re.compile(r"\b(?P<year>(?:19|20)\d\d)[-/.](?P<month>[01]?\d)[-/.](?P<day>[0-3]?\d)\b")
_NUMERIC = re.compile(
    r"(?<![\d./-])(?P<a>[0-3]?\d)(?P<sep>[-/.])(?P<b>[0-3]?\d)(?:(?P=sep)(?P<year>(?:19|20)?\d\d))?(?![\d/-])"
)
_MONTH_ALONE = re.compile(rf"\b(?P<month>{'|'.join(month.title() for month in _MONTHS if month not in ('march', 'may'))})\b|"
                          r"(?<=\b[Ii]n )(?P<month2>March|May)\b|(?<=\b[Bb]y )(?P<month3>March|May)\b")  # fmt: skip
_WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_WEEKDAY = re.compile(
    rf"\b(?:(?P<day>{'|'.join(_WEEKDAYS)})s?|(?-i:(?P<short>Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun))\b(?!['’]))\b", re.I
)
_RELATIVE = re.compile(r"\b(?:tomorrow|yesterday)\b", re.I)

_HALF_DAY = r"(?:(?P<half>[ap])(?:\s?m\b|\s?\.\s?m\b\.?))"
_HOUR = rf"(?P<hour>[0-2]?\d|{'|'.join(UNITS.split()[1:13])})"
_CLOCK = re.compile(rf"\b(?P<hour>[0-2]?\d)\s?[:h]\s?(?P<minute>[0-5]\d)(?::[0-5]\d)?(?!\d)(?:\s*{_HALF_DAY})?", re.I)
_CLOCK_DOT = re.compile(rf"\b(?P<hour>[0-2]?\d)(?:[.\s]?(?P<minute>[0-5]\d))?\s*{_HALF_DAY}", re.I)
_CLOCK_WORDS = re.compile(rf"\b{_HOUR}(?:\s*o\s?['’`]?\s?clock\b(?:\s+sharp)?|\s+{_HALF_DAY})", re.I)
_CLOCK_PAST = re.compile(
    rf"\b(?P<part>half|(?:a\s+)?quarter|ten|twenty|five)\s+(?P<way>past|to|after)\s+{_HOUR}\b(?:\s*{_HALF_DAY})?", re.I
)
_NOON = re.compile(r"\b(?:(?P<noon>noon|midday)|midnight)\b", re.I)

_ADDRESS = re.compile(r"\b(?:https?://|www\.)[^\s<>]+|\b[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+", re.I)
_PHONE = re.compile(r"(?<![\w+#])\+?\(?\d[\d() .-]{7,18}\d(?![\w-])")
_CODE = re.compile(r"(?<![\w#])#?[A-Za-z0-9]+(?:[-_.][A-Za-z0-9]+)*(?![\w#])")
_QUANTITY = re.compile(
    r"\d+(?:st|nd|rd|th|s|k|m|x|am|pm|h|hr|hrs|min|mins|kg|g|km|cm|mm|lb|lbs|ft|gb|mb|tb|mbps|p|yo|[a-z]{3,})", re.I
)
_NUMBER_DIGITS = re.compile(
    rf"(?<![\w.])(?P<value>{DIGITS})(?:\s?(?P<scale>k|m|bn|thousand|million|billion|hundred)\b)?", re.I
)
_NUMBER_WORDS = re.compile(rf"\b(?:an?\s+(?=hundred|thousand|million|billion|dozen))?(?:{SPELLED}|dozen)\b", re.I)
_TOKEN = re.compile(r"\w+|@")
_HAS_DIGIT = re.compile(r"\d")
_TRIGGERS = frozenset(
    [
        *WORDS,
        *SCALES,
        *_MONTHS,
        *_WEEKDAYS,
        *(day + "s" for day in _WEEKDAYS),
        "dozen",
        "tomorrow",
        "yesterday",
        "noon",
        *[
            "midday",
            "midnight",
            "mon",
            "tue",
            "tues",
            "wed",
            "thu",
            "thur",
            "thurs",
            "fri",
            "sat",
            "sun",
            "half",
            "quarter",
            "http",
            "https",
            "www",
            "@",
        ],
    ]
)


@lru_cache(maxsize=256)  # a summary, its references and the turns of its chat are read by several checks in turn
def spot(text: str) -> tuple[Mention, ...]:
    """All mentions of `text` in reading order, none overlapping.

    >>> [(text[m.start:m.end], m.kind) for text in ["Refund of $20 by 3 pm for KX-48213"] for m in spot(text)]
    [('$20', 'amount'), ('3 pm', 'date'), ('KX-48213', 'id')]
    """
    found: list[Mention] = []
    for low, high in _windows(text):
        taken = bytearray(high - low)
        for pattern, read in _spotters(text[low:high]):
            for match in pattern.finditer(text, low, high):
                if 1 in taken[match.start() - low : match.end() - low]:
                    continue
                for mention in read(match):
                    found.append(mention)
                    taken[mention.start - low : mention.end - low] = b"\1" * (mention.end - mention.start)
    return tuple(sorted(found, key=lambda mention: mention.start))


def _spotters(window: str) -> tuple[Spotter, ...]:
    """Those that can find anything there: without a digit, or without a tell-tale word, many cannot.

    All of them where a letter is not ASCII: some, such as the Kelvin sign, match without being the same.
    """
    if not window.isascii():
        return _SPOTTERS
    if not _HAS_DIGIT.search(window):
        return _WITHOUT_DIGIT
    return _WITHOUT_WORD if _TRIGGERS.isdisjoint(_TOKEN.findall(window.lower())) else _SPOTTERS


def _windows(text: str) -> list[tuple[int, int]]:
    """The parts of the text where a value can stand: around digits and tell-tale words. Ten times faster than all of it."""
    windows: list[tuple[int, int]] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token.lower() not in _TRIGGERS and not _HAS_DIGIT.search(token):
            continue
        done = windows[-1][1] if windows else -1
        low, high = max(0, match.start() - 24), min(len(text), match.end() + 24)
        if high <= done:
            continue
        while low > max(0, done) and not text[low - 1].isspace():
            low -= 1
        while high < len(text) and not text[high].isspace():
            high += 1
        if low <= done:
            windows[-1] = (windows[-1][0], high)
        else:
            windows.append((low, high))
    return windows


def code_key(text: str) -> str:
    """An id without the marks people leave out: `#KX-48213` and `kx 48213` are both `kx48213`."""
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def _amount(match: re.Match[str]) -> Iterator[Mention]:
    mark = (match["before"] or match["after"]).strip().lower()
    code = _CURRENCY.get(mark) or _CURRENCY.get(mark.rstrip("."), "")
    value = value_of(match["value"] or match["value2"])
    if code in ("cent", "pence"):
        code, value = {"cent": "", "pence": "gbp"}[code], value / 100
    yield Mention(*match.span(), AMOUNT, frozenset({number_key(value)}), code)


def _calendar(match: re.Match[str]) -> Iterator[Mention]:
    groups = match.groupdict()
    year = groups.get("year") or ""
    if "a" in groups:
        a, b = int(match["a"]), int(match["b"])
        # 2.5 and 10-12 are values and ranges far more often than days
        if (match["sep"] != "/" and not year) or match[0] == "24/7":
            return
        days = {(month, day) for month, day in ((a, b), (b, a)) if 1 <= month <= 12 and 1 <= day <= 31}
        year = f"20{year}" if len(year) == 2 else year
    else:
        days = {(_month(match["month"]), int(match["day"]))}
    keys = {
        f"{month}-{day}" + (f"-{year}" if year else "") for month, day in days if 1 <= month <= 12 and 1 <= day <= 31
    }
    if keys:
        yield Mention(*match.span(), DATE, frozenset(keys), "calendar")


def _month(text: str) -> int:
    return int(text) if text.isdigit() else 1 + [month[:3] for month in _MONTHS].index(text[:3].lower())


def _month_alone(match: re.Match[str]) -> Iterator[Mention]:
    yield Mention(*match.span(), DATE, frozenset({f"{_month(match[0])}-"}), "month")


def _weekday(match: re.Match[str]) -> Iterator[Mention]:
    yield Mention(*match.span(), DATE, frozenset({match[0][:3].lower()}), "weekday")


def _relative(match: re.Match[str]) -> Iterator[Mention]:
    yield Mention(*match.span(), DATE, frozenset({match[0].lower()}), "relative")


def _clock(match: re.Match[str]) -> Iterator[Mention]:
    groups = match.groupdict()
    hour_text = groups["hour"].lower()
    hour = int(hour_text) if hour_text.isdigit() else WORDS[hour_text]
    minute = int(groups.get("minute") or 0)
    if part := groups.get("part"):
        shift = {"half": 30, "quarter": 15}.get(part.split()[-1].lower()) or WORDS[part.lower()]
        hour, minute = (hour - 1, 60 - shift) if match["way"].lower() == "to" else (hour, shift)
    if hour > 24:
        return
    half = (groups.get("half") or "").lower()
    hours = {hour % 24} if hour > 12 or (hour == 0 and groups.get("minute")) else {hour % 12, hour % 12 + 12}
    if half and hour <= 12:
        hours = {hour % 12 + (12 if half == "p" else 0)}
    yield Mention(*match.span(), DATE, frozenset(f"{h:02}:{minute:02}" for h in hours), "clock")


def _noon(match: re.Match[str]) -> Iterator[Mention]:
    yield Mention(*match.span(), DATE, frozenset({"12:00" if match["noon"] else "00:00"}), "clock")


def _address(match: re.Match[str]) -> Iterator[Mention]:
    text = match[0].rstrip(".,;:!?)'\"")
    yield Mention(match.start(), match.start() + len(text), ID, frozenset({code_key(text)}), "address")


def _phone(match: re.Match[str]) -> Iterator[Mention]:
    digits = code_key(match[0])
    if 9 <= len(digits) <= 16:
        yield Mention(*match.span(), ID, frozenset({digits}), "phone")


def _code(match: re.Match[str]) -> Iterator[Mention]:
    """Letters with digits, `#` with digits, five digits or more, versions such as 11.0.3; not `24-hour`, `5GB`, `2nd`."""
    text = match[0]
    if not any(map(str.isdigit, text)) or re.fullmatch(r"#Person\d+#?", text):
        return
    pieces = re.split(r"[-_.]", text.lstrip("#"))
    mixed = any(
        not piece.isdigit() and any(map(str.isdigit, piece)) and not _QUANTITY.fullmatch(piece) for piece in pieces
    )
    lettered = any(piece.isalpha() and piece.isupper() for piece in pieces)
    version = text.count(".") >= 2 and all(piece.isdigit() for piece in pieces)
    if mixed or lettered or version or text[0] == "#" or (text.isdigit() and len(text) >= 5):
        yield Mention(*match.span(), ID, frozenset({code_key(text)}), _shape(text))


def _shape(text: str) -> str:
    return re.sub(r"\d", "9", re.sub(r"[^\W\d_]", "a", code_key(text)))


def _number(match: re.Match[str]) -> Iterator[Mention]:
    yield Mention(*match.span(), NUMBER, frozenset({number_key(value_of(match[0]))}), _range(match))


def _range(match: re.Match[str]) -> str:
    """The digits of the range that a number is an end of: `35` for both numbers of `3-5`."""
    before, after = match.string[max(0, match.start() - 6) : match.start()], match.string[match.end() : match.end() + 6]
    if first := re.search(r"(\d+)\s?[-–]\s?$", before):
        return first[1] + match[0]
    last = re.match(r"\s?[-–]\s?(\d+)", after)
    return match[0] + last[1] if last else ""


def _number_words(match: re.Match[str]) -> Iterator[Mention]:
    values = spelled(match[0])
    if values == [1]:  # "one" is a pronoun far more often than a count
        return
    keys = {number_key(value) for value in values}
    if len(values) == 2 and 10 < values[0] < 100 and 10 <= values[1] < 100:  # nineteen ninety-five
        keys = {number_key(values[0] * 100 + values[1])} | keys
    yield Mention(*match.span(), NUMBER, frozenset(keys))


_SPOTTERS: tuple[Spotter, ...] = (
    (_ADDRESS, _address), (_AMOUNT, _amount), (_ISO, _calendar), (_MONTH_DAY, _calendar), (_DAY_MONTH, _calendar),
    (_NUMERIC, _calendar), (_CLOCK, _clock), (_CLOCK_DOT, _clock), (_CLOCK_PAST, _clock), (_CLOCK_WORDS, _clock),
    (_NOON, _noon), (_WEEKDAY, _weekday), (_RELATIVE, _relative), (_MONTH_ALONE, _month_alone), (_PHONE, _phone),
    (_CODE, _code), (_NUMBER_DIGITS, _number), (_NUMBER_WORDS, _number_words),
)  # fmt: skip
_WANT_DIGIT = (_ISO, _MONTH_DAY, _DAY_MONTH, _NUMERIC, _CLOCK, _CLOCK_DOT, _PHONE, _CODE, _NUMBER_DIGITS)
_WANT_WORD = (_ADDRESS, _CLOCK_PAST, _NOON, _WEEKDAY, _RELATIVE, _MONTH_ALONE, _NUMBER_WORDS)
_WITHOUT_DIGIT = tuple(one for one in _SPOTTERS if one[0] not in _WANT_DIGIT)
_WITHOUT_WORD = tuple(one for one in _SPOTTERS if one[0] not in _WANT_WORD)
