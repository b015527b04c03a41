"""A run as HTML: its place or progress, the figures of now, its loss, its checkpoints with their scores, its log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from pathlib import Path

from evaluation.findings import label, number
from evaluation.report import Report
from evaluation.significance import Interval, mean_interval
from sharing.sheet import chart_html, tag
from tuning import jobs
from tuning.forecast import in_words
from tuning.line import Place
from tuning.runs import FINISHED, MEASURE, RUNNING, SAMPLED, TESTED, TRAIN, WAITING, WAITS, Progress, Run

SILENCE = 3  # minutes without a heartbeat that are told
Measuring = tuple[int, int, int, str] | None


def state_html(run: Run, progress: Progress, place: Place | None, measuring: Measuring) -> str:
    """Name, state, how far, what to know and what one may do."""
    name = tag("b", escape(run.record.name)) + " " + tag("span", escape(run.plan.base_model), class_="quiet")
    details = tag("span", escape(" · ".join(_details(progress, place))), class_="quiet")
    parts = [
        tag("p", name, class_="state"),
        tag("p", f"{tag('b', escape(progress.state.capitalize()))} {details}", class_="state"),
        _bar(progress),
    ]
    if progress.message not in ("", WAITS):  # the place in line says that one already
        quiet = progress.state in (RUNNING, FINISHED)
        parts.append(tag("p", escape(progress.message), class_="quiet" if quiet else "notice"))
    if minutes := silent_minutes(progress):
        words = f"It has said nothing for {minutes} minutes: its steps are very slow, or it hangs. Cancel ends it."
        parts.append(tag("p", words, class_="notice"))
    if measuring:
        step, done, total, on = measuring
        which = "test" if on == TESTED else "validation"
        parts.append(tag("p", f"Measuring {label(step)}: {done} of {total} {which} chats.", class_="quiet"))
    if words := _advice(run, progress):
        parts.append(tag("p", escape(words), class_="quiet"))
    return "".join(parts)


def silent_minutes(progress: Progress) -> int:
    """Minutes since a run in training last said anything, 0 while that is nothing to speak of."""
    if progress.state != RUNNING or progress.updated is None:
        return 0
    minutes = int((time.time() - progress.updated) / 60)
    return minutes if minutes >= SILENCE else 0


def _details(progress: Progress, place: Place | None) -> list[str]:
    if progress.state == WAITING and place:
        start = "start unknown" if place.starts_in is None else f"starts in {in_words(place.starts_in)}"
        return [f"place {place.number} in line", start]
    details = [f"step {progress.step:,} of {progress.steps:,}"]
    if progress.eta_seconds is not None and not progress.over:
        details.append(f"{in_words(progress.eta_seconds)} left")
    return details


def _bar(progress: Progress) -> str:
    share = progress.step / max(progress.steps, 1)
    return tag(
        "div",
        tag("i", "", style=f"width:{share:.1%}"),
        class_="progress",
        role="progressbar",
        aria_label="Training",
        aria_valuenow=f"{share:.0%}".rstrip("%"),
        aria_valuemin=0,
        aria_valuemax=100,
    )


def _advice(run: Run, progress: Progress) -> str:
    if not progress.over:
        goes_on = "starts by itself" if progress.state == WAITING else "goes on"
        return f"You may close this page: the run {goes_on}, and this address shows it again."
    if progress.state == FINISHED:
        return ""
    if run.alive(TRAIN) and not progress.no_resume:
        return "Its process is just ending; then it can be resumed."
    if why := progress.no_resume or jobs.no_resume(run):
        return f"It cannot be resumed. {why}"
    step = run.resume_step()
    where = f"goes on from checkpoint {step}, as if it had never stopped" if step else "starts again from the beginning"
    return f"Resume {where}."


def figures_html(progress: Progress) -> str:
    """The figures of now in one strip; what is unknown is left out of it."""
    if not progress.loss_curve:
        return ""
    first, last = (progress.validation_curve or [(0, None)])[0][1], (progress.validation_curve or [(0, None)])[-1][1]
    cells = [
        ("Training loss", _number(progress.loss_curve[-1][1]), f"gradient norm {_number(progress.gradient_norm)}"),
        ("Validation loss", _number(last), f"{_number(first)} before tuning"),
        ("Tokens a second", _count(progress.tokens_per_second), f"learning rate {_small(progress.learning_rate)}"),
        ("Memory", _gigabytes(progress.memory_bytes), "of the training process"),
    ]
    return tag("dl", "".join(_cell(*cell) for cell in cells), class_="kpis")


def _cell(name: str, figure: str, beside: str) -> str:
    shown = tag("dd", tag("div", escape(figure), class_="figure") + tag("div", escape(beside), class_="change"))
    return tag("div", tag("dt", escape(name)) + shown, class_="kpi")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _small(value: float | None) -> str:
    return "–" if value is None else f"{value:.1e}"


def _gigabytes(value: int | None) -> str:
    return "–" if value is None else f"{value / 1e9:.1f} GB"


def loss_html(progress: Progress) -> str:
    if not progress.loss_curve:
        return ""
    from evaluation.charts import loss_figure

    figure = loss_figure(progress.loss_curve, progress.validation_curve, progress.steps)
    return chart_html(figure.to_json(), "Loss by step", "nats per token")


def points_html(run: Run, steps: list[int], sampled: Mapping[int, int], measured: int) -> str:
    """The checkpoints as they become whole, with what the quick look on a few validation chats found of each.

    `sampled` is when each quick look was written, `measured` how many reports on the test chats there are.
    """
    if len(steps) < 2 and not sampled:
        return ""
    heads = (
        tag("th", "Checkpoint")
        + tag("th", "ROUGE-L", class_="n")
        + tag("th", "Unsupported facts a summary", class_="n")
    )
    rows = "".join(_point(run, step, sampled.get(step)) for step in steps)
    table = tag("div", tag("table", tag("tr", heads) + rows), class_="examples", style="margin-top:14px")
    return table + tag("p", escape(_points_words(run, len(steps), sampled, measured)), class_="quiet")


def _points_words(run: Run, steps: int, sampled: Mapping[int, int], measured: int) -> str:
    """What the quick scores were taken on, and how far the proof on the test chats is."""
    chats = _scores(run.folder, *next(iter(sampled.items())))[2] if sampled else None
    words = {
        None: "Each is looked at on a few validation chats as soon as it is whole.",
        0: "No chats were set aside for validation, so there is no quick look.",
    }
    quick = words.get(chats, f"A quick look on the same {chats} validation chats, with 95 % intervals.")
    waits = " Measuring goes on when that of other runs is done." if run.is_put_off(MEASURE) else ""
    return f"{quick} On the test chats, for the Compare tab, {measured} of {steps} are measured.{waits}"


def _point(run: Run, step: int, written: int | None) -> str:
    name = tag("td", label(step))
    if written is None:
        return tag("tr", name + tag("td", "not measured yet", class_="n quiet", colspan=2))
    rouge, facts, _ = _scores(run.folder, step, written)
    return tag("tr", name + tag("td", _interval(rouge, 1), class_="n") + tag("td", _interval(facts, 2), class_="n"))


@lru_cache(maxsize=512)
def _scores(folder: Path, step: int, written: int) -> tuple[Interval, Interval, int]:
    """ROUGE-L and unsupported facts a summary of the quick look that was written then, and its chats."""
    report = Report.from_json(Run(folder).report(step, SAMPLED) or {})
    rouge, facts = (mean_interval(report.values(score)) for score in ("rougeL", "unsupported"))
    return rouge, facts, len(report.results)


def _interval(found: Interval, places: int) -> str:
    """The mean, and beside it from where to where it may lie; escaped already."""
    if found.mean is None:
        return "unknown"
    if found.low is None or found.high is None:
        return number(found.mean, places)
    spread = f"{number(found.low, places)}–{number(found.high, places)}"
    return f"{number(found.mean, places)} {tag('span', spread, class_='quiet spread')}"


def log_html(run: Run) -> str:
    logs = {"Training": run.log_tail(30), "Measuring": run.log_tail(10, MEASURE)}
    return "".join(
        tag("h4", name) + tag("div", escape(text or "nothing yet"), class_="log") for name, text in logs.items()
    )
