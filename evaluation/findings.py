"""What a comparison found, in plain words: the verdict sentence and the honesty badges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from evaluation.report import Report
from evaluation.significance import FEWEST, Interval

FEW_CHATS = 50  # below this the badge warns that intervals are wide
UNKNOWN = Interval(None, None, None, 0)
# Where several runs stand in one comparison, checkpoint s of run k (from 1) goes by the number k × RUN + s, so that a
# number still names one checkpoint in links, pages and files of every version. 0 is the zero-shot they share.
RUN = 100_000_000


@dataclass(frozen=True, slots=True)
class CheckpointScores:
    """One checkpoint's mean of every score, and its change: the paired difference from zero-shot, {} for step 0.

    `model` is the name and digest of the weights measured.
    """

    step: int
    model: str
    means: Mapping[str, Interval]
    change: Mapping[str, Interval]

    @property
    def label(self) -> str:
        """`zero-shot`, or such as `checkpoint 200`."""
        return label(self.step)


def label(step: int) -> str:
    """What people call a checkpoint: `zero-shot` for step 0, `run 2, checkpoint 40` among several runs."""
    run, step = divmod(step, RUN)
    name = f"checkpoint {step}" if step else "zero-shot"
    return f"run {run}, {name}" if run else name


def by_run(checkpoints: Sequence[CheckpointScores]) -> dict[int, list[CheckpointScores]]:
    """Each run's checkpoints by its number (0 where there is one run only), from zero-shot on: its own or the shared one."""
    found = {run: list(own) for run, own in groupby(checkpoints, lambda at: at.step // RUN)}
    shared = found.pop(0) if len(found) > 1 else []
    return {run: own if own[0].step % RUN == 0 else [*shared, *own] for run, own in found.items()}


def best_step(checkpoints: Sequence[CheckpointScores]) -> int | None:
    """The step with the highest mean ROUGE-L among those whose change from zero-shot is above 0 by interval and p."""
    better = [checkpoint for checkpoint in checkpoints if _change(checkpoint, "rougeL").above_zero]
    return max(better, key=_overlap).step if better else None


def spoken_of(checkpoints: Sequence[CheckpointScores], best: int | None) -> int:
    """The step that the verdict is about: the best one, else the highest mean ROUGE-L, the later one of equals."""
    later = [checkpoint for checkpoint in checkpoints if checkpoint.step]
    if best is not None or not later:
        return best or 0
    return max(later, key=lambda checkpoint: (_overlap(checkpoint), checkpoint.step)).step


def verdict(checkpoints: Sequence[CheckpointScores], best: int | None, chosen: int) -> str:
    """One sentence: what changed, by how much, how sure, on how many chats. No claim without its interval."""
    by_step = {checkpoint.step: checkpoint for checkpoint in checkpoints}
    if not chosen:
        return _zero_shot_alone(by_step[0])
    return claim(by_step[0], by_step[chosen])


def claim(before: CheckpointScores, after: CheckpointScores) -> str:
    """How `after` differs from `before`, in one sentence; `after.change` is the paired difference between the two."""
    text = "; ".join(
        filter(None, (_overlap_words(before, after), _invention_words(before, after), _kept_words(before, after)))
    )
    return f"{text[0].upper()}{text[1:]}."


def badges(reports: Sequence[Report]) -> tuple[str, ...]:
    """What a reader must know before trusting the numbers, a sentence each; `reports` by step, zero-shot first."""
    zero_shot, n = reports[0], len(reports[0].results)
    unknown = sum(value is None for value in zero_shot.values("rougeL"))
    cut = max(sum(result.input_truncated for result in report.results) for report in reports)
    found = [
        f"Only {n} chats: the intervals are wide." if n < FEW_CHATS else "",
        f"ROUGE is unknown for {unknown} of {n} chats, which have no reference; they are left out." if unknown else "",
        f"{cut} of {n} chats did not fit the model's window: their end was not read." if cut else "",
        _tally("Stopped at the length limit", reports, _stopped, 1),
        _tally("Empty summaries", reports, lambda report: _texts(report).count(""), 1),
        _tally("One and the same summary", reports, _repeated, max(3, n // 4)),
        _tally("Word for word as zero-shot", reports[1:], lambda report: _same(zero_shot, report), max(1, n // 2)),
    ]
    return tuple(badge for badge in found if badge)


def power(checkpoints: Sequence[CheckpointScores], chosen: int) -> tuple[str, ...]:
    """What this many chats can show at all, and how many looks were corrected for, in a sentence each."""
    by_step = {checkpoint.step: checkpoint for checkpoint in checkpoints}
    change, looks = _change(by_step[chosen], "rougeL"), len(checkpoints) - 1
    found = [
        f"{change.n} chats show a true change of {number(change.detectable)} ROUGE-L or more four times out of five; smaller ones may go unseen."
        if change.detectable
        else "",
        f"{looks} checkpoints were compared with zero-shot: a change counts only where it holds after Holm's correction for all of them."
        if looks > 1
        else "",
    ]
    return tuple(sentence for sentence in found if sentence)


def _tally(title: str, reports: Sequence[Report], count: Callable[[Report], int], least: int) -> str:
    """Such as "Empty summaries: zero-shot in 2 of 110, checkpoint 50 in 7 of 110."; "" where no count reaches `least`."""
    counts = {label(report.step): count(report) for report in reports}
    told = [f"{name} in {hits} of {len(reports[0].results)}" for name, hits in counts.items() if hits >= least]
    return f"{title}: {', '.join(told)}." if told else ""


def _texts(report: Report) -> list[str]:
    return [result.summary.strip() for result in report.results]


def _stopped(report: Report) -> int:
    return sum(result.output_truncated for result in report.results)


def _repeated(report: Report) -> int:
    """How many chats got the commonest summary."""
    return max(Counter(text for text in _texts(report) if text).values(), default=0)


def _same(one: Report, other: Report) -> int:
    return sum(left == right for left, right in zip(_texts(one), _texts(other), strict=True))


def _overlap_words(before: CheckpointScores, after: CheckpointScores) -> str:
    name, other, change = after.label, before.label, _change(after, "rougeL")
    if change.mean is None:
        return f"ROUGE is unknown for {name}: no chat has a reference summary"
    if change.low is None:
        return f"too few chats to tell {name} from {other} (ROUGE-L {signed(change)}, n = {change.n}, needed {FEWEST})"
    if change.above_zero:
        return f"{name} beats {other} by {signed(change)} ROUGE-L ({ci(change)}, n = {change.n})"
    if change.below_zero:
        return f"{name} does worse than {other} by {signed(change)} ROUGE-L ({ci(change)}, n = {change.n})"
    sizes = f"ROUGE-L {signed(change)}, {ci(change)}, n = {change.n}"
    return f"no evidence of a difference between {name} and {other} ({sizes})"


def _invention_words(before: CheckpointScores, after: CheckpointScores) -> str:
    change, facts = _change(after, "unsupported"), "unsupported facts per summary"
    was, now = _mean(before, "unsupported").mean, _mean(after, "unsupported").mean
    if was is None or now is None or change.mean is None:
        return f"{facts} are unknown"
    digits = _digits(was, now)
    old, new = number(was, digits), number(now, digits)
    if change.low is None:
        return f"too few chats to tell whether {facts} change ({old} to {new})"
    if before.step:
        return _against_words(facts, f"{new} against {old}, {ci(change)} of the difference", change)
    words = f"{ci(change)} of the change"
    if change.below_zero or change.above_zero:
        return f"{facts} {'fall' if change.below_zero else 'rise'} from {old} to {new} ({words})"
    return f"no evidence that {facts} change ({old} to {new}, {words})"


def _kept_words(before: CheckpointScores, after: CheckpointScores) -> str:
    """Key facts lost or won, where that is sure: a score may rise while the summaries tell less. "" otherwise."""
    change, was, now = _change(after, "coverage"), _mean(before, "coverage").mean, _mean(after, "coverage").mean
    if was is None or now is None or not (change.above_zero or change.below_zero):
        return ""
    if before.step:
        more = "more" if change.above_zero else "fewer"
        return f"it keeps {more} key facts ({number(now)} against {number(was)} %, {ci(change)} of the difference)"
    verb = "rise" if change.above_zero else "fall"
    return f"key facts kept {verb} from {number(was)} to {number(now)} % ({ci(change)} of the change)"


def _against_words(facts: str, figures: str, change: Interval) -> str:
    """Between two runs nothing falls or rises: one has more of them than the other."""
    if change.above_zero or change.below_zero:
        return f"it has {'more' if change.above_zero else 'fewer'} {facts} ({figures})"
    return f"no evidence that their {facts} differ ({figures})"


def _zero_shot_alone(zero_shot: CheckpointScores) -> str:
    overlap, facts = _mean(zero_shot, "rougeL"), _mean(zero_shot, "unsupported")
    score = "ROUGE unknown" if overlap.mean is None else f"{number(overlap.mean)} ROUGE-L"
    sure = "" if overlap.low is None else f"{ci(overlap)}, "
    invented = "" if facts.mean is None else f", {number(facts.mean)} unsupported facts per summary"
    return f"Only zero-shot has been measured so far: {score} ({sure}n = {overlap.n}){invented}."


def _change(checkpoint: CheckpointScores, score: str) -> Interval:
    return checkpoint.change.get(score, UNKNOWN)


def _mean(checkpoint: CheckpointScores, score: str) -> Interval:
    return checkpoint.means.get(score, UNKNOWN)


def _overlap(checkpoint: CheckpointScores) -> float:
    mean = _mean(checkpoint, "rougeL").mean
    return -1.0 if mean is None else mean


def ci(interval: Interval) -> str:
    low, high = interval.low or 0.0, interval.high or 0.0
    digits = _digits(low, high)
    return f"95 % CI {number(low, digits)} to {number(high, digits)}"


def signed(interval: Interval) -> str:
    mean = interval.mean or 0.0
    words = number(mean, _digits(mean))
    return f"+{words}" if mean > 0 else words


def _digits(*values: float) -> int:
    """One decimal, or two where one would show 0.0 for what is not 0, or the same for what differs."""
    hidden = any(value and not round(value, 1) for value in values)
    alike = len(set(values)) > 1 and len({round(value, 1) for value in values}) == 1
    return 2 if hidden or alike else 1


def number(value: float, digits: int = 1) -> str:
    """With a real minus sign, and never "−0.0"."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
