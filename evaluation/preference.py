"""Which of two summaries people prefer without knowing whose they are: a fair order, the win rate, and how far raters agree.

cards = Cards("Ann", 200, pairs)            # Ann's own order of chats and of sides, the same whenever she comes back
cards.following(judgements)                 # the next chat she has not judged, or None
tally(standing(judgements, 200, pairs))     # Preference(wins=14, ties=3, losses=5, rate=Interval(70.5, 52.3, 86.4, 22), alpha=0.61)
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from evaluation.significance import Interval, mean_interval
from tuning.record import lines

LOSS, TIE, WIN = "zero-shot", "tie", "tuned"
VALUES = {LOSS: 0.0, TIE: 50.0, WIN: 100.0}  # what a judgement adds to the win rate, in per cent


@dataclass(frozen=True, slots=True)
class Judgement:
    """Who preferred what on which chat; `choice` is zero-shot, tie or tuned, never a side: sides change.

    `pair` names the two summaries (`pair_mark`): a judgement says nothing of summaries that were made anew since.
    """

    rater: str
    step: int
    chat: str
    choice: str
    pair: str = ""


def keep(path: Path, judgement: Judgement) -> None:
    """Add a judgement to the file at `path`, which is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(judgement), ensure_ascii=False) + "\n")


def kept(path: Path) -> list[Judgement]:
    """Every judgement in the file at `path`, in the order they were made; none where there is no file."""
    return [Judgement(**record) for record in lines(path)]


def pair_mark(zero_shot: str, tuned: str) -> str:
    """Sixteen hex digits that name exactly these two summaries."""
    return hashlib.sha256(json.dumps([zero_shot, tuned]).encode()).hexdigest()[:16]


def standing(judgements: Iterable[Judgement], step: int, pairs: Mapping[str, str]) -> list[Judgement]:
    """Those at `step` whose two summaries are still the ones in `pairs` (chat: mark)."""
    return [one for one in judgements if one.step == step and pairs.get(one.chat) == one.pair]


@dataclass(frozen=True, slots=True)
class Cards:
    """One rater's cards for one checkpoint: chats in an order, and sides, that only the rater's name decides.

    `pairs` has the mark of the two summaries of each chat.
    """

    rater: str
    step: int
    pairs: Mapping[str, str]

    def done(self, judgements: Iterable[Judgement]) -> set[str]:
        """The chats whose present summaries this rater has judged at this step."""
        return {one.chat for one in standing(judgements, self.step, self.pairs) if one.rater == self.rater}

    def following(self, judgements: Iterable[Judgement]) -> str | None:
        """The first chat in this rater's order that they have not judged."""
        done, order = self.done(judgements), list(self.pairs)
        self._dice("order").shuffle(order)
        return next((chat for chat in order if chat not in done), None)

    def tuned_first(self, chat: str) -> bool:
        """Whether the tuned summary is card A for this chat."""
        return self._dice(chat).random() < 0.5

    def mark(self, chat: str) -> str:
        """Names this chat's two cards without saying whose they are; a judgement on other cards, or other summaries, is none on these."""
        dice = self._dice(f"mark\n{chat}\n{self.pairs[chat]}")
        return f"{dice.getrandbits(64):016x}"

    def judged(self, chat: str, card: str) -> Judgement:
        """What choosing card "A", "B" or "tie" on this chat says. Raises ValueError for any other card."""
        if card not in ("A", "B", "tie"):
            raise ValueError(f"{card!r} is no card")
        preferred = WIN if (card == "A") == self.tuned_first(chat) else LOSS
        return Judgement(self.rater, self.step, chat, TIE if card == "tie" else preferred, self.pairs[chat])

    def _dice(self, what: str) -> random.Random:
        return random.Random(f"{self.rater}\n{self.step}\n{what}")


@dataclass(frozen=True, slots=True)
class Preference:
    """How often the tuned summary won. `rate` in per cent, a tie counts half, each chat once however many raters it had.

    `alpha` is Krippendorff's α on the ordered scale zero-shot < tie < tuned, 1 = full agreement, 0 = chance; None where
    no chat has two raters or everyone said one and the same thing, of which nothing follows.
    """

    wins: int
    ties: int
    losses: int
    raters: tuple[str, ...]
    rate: Interval
    alpha: float | None


def tally(judgements: Iterable[Judgement]) -> Preference:
    """The result for one checkpoint (`standing`); of several judgements of one rater on one chat the last counts."""
    latest = {(one.rater, one.chat): one.choice for one in judgements if one.choice in VALUES}
    by_chat: dict[str, list[float]] = defaultdict(list)
    for (_, chat), choice in latest.items():
        by_chat[chat].append(VALUES[choice])
    counts = {choice: list(latest.values()).count(choice) for choice in VALUES}
    rate = mean_interval([sum(values) / len(values) for values in by_chat.values()])
    raters = tuple(sorted({rater for rater, _ in latest}))
    return Preference(counts[WIN], counts[TIE], counts[LOSS], raters, rate, _alpha(latest, raters, list(by_chat)))


def _alpha(latest: Mapping[tuple[str, str], str], raters: Sequence[str], chats: Sequence[str]) -> float | None:
    import krippendorff

    values = [[VALUES.get(latest.get((rater, chat), ""), np.nan) for chat in chats] for rater in raters]
    table = np.array(values, dtype=float).reshape(len(raters), len(chats))
    shared = table[:, (~np.isnan(table)).sum(axis=0) > 1]
    if not shared.size or len(np.unique(shared[~np.isnan(shared)])) < 2:
        return None
    return float(krippendorff.alpha(reliability_data=shared, level_of_measurement="ordinal"))
