"""A checkpoint and a split become a Report; run as `python -m evaluation.measure RUN_FOLDER` it follows a whole run."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

from dialogues.dialogue import Dataset, Dialogue, Example, Problem, Refused
from evaluation.coverage import COVERAGE, coverage, kept_of, salient
from evaluation.findings import label
from evaluation.grounding import check, unsupported
from evaluation.overlap import OVERLAP, copying, lengths, overlap
from evaluation.report import VERSION, ExampleResult, Report, Signature, Verdict
from evaluation.rouge import ROUGE, rouge
from evaluation.rouge_many import COLUMNS, rouge_many
from evaluation.support import SUPPORT, of
from prompting.model import Decoding, ModelRefused, Summarizer, load
from prompting.template import Template
from tuning.runs import SAMPLED, TESTED, Run, RunRefused, run_at

METRICS = f"{ROUGE}|{OVERLAP}|{SUPPORT}|{COVERAGE}"
SPLIT = "test"
QUICK = 32  # validation chats of the quick look at a checkpoint, which leaves the test chats alone
POLL_SECONDS = 2.0
NICE = 10  # measuring makes way for training and for the screen

Progress = Callable[[int, int], None]
Scored = tuple[dict[str, float | None], tuple[Verdict, ...]]


def measure(
    summarizer: Summarizer,
    dataset: Dataset,
    split: str,
    template: Template,
    decoding: Decoding,
    run: str = "",
    step: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Summarise every chat of `dataset.splits[split]` and score each summary: the Report of checkpoint `step`.

    Every score is per chat: see `score`. `progress(done, total)` counts chats. What the summarizer raises passes through.
    """
    examples = dataset.splits[split]
    prompts = [template.render(example.dialogue) for example in examples]
    summaries = summarizer.summarize(prompts, decoding, progress)
    signature = _signature(dataset, split, template, decoding, f"{summarizer.name}@{summarizer.digest}")
    results = [
        ExampleResult(example.dialogue.id, one.text, *found, one.input_truncated, one.output_truncated)
        for example, one, found in zip(
            examples, summaries, score_all([one.text for one in summaries], examples), strict=True
        )
    ]
    return Report(run, step, signature, tuple(results))


def _signature(dataset: Dataset, split: str, template: Template, decoding: Decoding, model: str) -> Signature:
    return Signature(
        data=dataset.digest,
        data_name=dataset.name,
        split=split,
        n=len(dataset.splits[split]),
        template=template.pattern,
        decoding=decoding.signature,
        metrics=METRICS,
        model=model,
        version=VERSION,
    )


def score(summary: str, example: Example) -> Scored:
    """`score_all` of one."""
    return _score(summary, example, rouge(summary, example.references))


def score_all(summaries: Sequence[str], examples: Sequence[Example]) -> list[Scored]:
    """Every score of each summary, and what its chat says about its spans.

    `unsupported` counts verdicts, `flagged` is 100 where there is any, `support` is that of support.py in %, `coverage` is
    the % kept of the references' key facts, `salience` of what the chat itself marks as weighty; BLEU, chrF and copying
    stand in overlap.py.
    """
    table = rouge_many(summaries, [example.references for example in examples]).tolist()
    known = [[None if isnan(value) else value for value in row] for row in table]
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in known]
    return [_score(*one) for one in zip(summaries, examples, rows, strict=True)]


def _score(summary: str, example: Example, overlapping: Mapping[str, float | None]) -> Scored:
    verdicts = check(summary, example.dialogue)
    found = unsupported(verdicts)
    scores = {
        **overlapping,
        **lengths(summary, example.references),
        **overlap(summary, example.references),
        "coverage": _percent(coverage(summary, example.references).share),
        **copying(summary, "\n".join(turn.text for turn in example.dialogue.turns)),
        "salience": _percent(kept_of(summary, salient(example.dialogue)).share),
        "unsupported": float(found),
        "flagged": 100.0 * bool(found),  # its mean: % of summaries
        "support": _percent(of(summary, example.dialogue, verdicts)),
    }
    return scores, verdicts


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def lead3(dialogue: Dialogue) -> str:
    """The baseline that reads nothing: the texts of the first three turns."""
    return " ".join(turn.text for turn in dialogue.turns[:3])


def follow(run: Run) -> list[str]:
    """Measure zero-shot and every later whole checkpoint until the run is over and all are done.

    Each is measured on a few validation chats first, as soon as it is whole, then on the test chats. Reports that exist
    are left alone, but for those of an older signature: they are scored again, and summarised again where it takes
    more than that, so that all reports of a run may stand on one axis. A checkpoint that fails is named in words on the
    log and the others go on; the returned sentences are those failures.
    """
    chats, failures = {TESTED: run.dataset, SAMPLED: sample(run.dataset)}, dict[tuple[int, str], str]()
    stale = _stale(run, chats)
    while True:
        over = run.progress().over  # asked before the checkpoints, so that the last one is not missed
        waiting = _waiting(run, failures, stale)
        if waiting:
            step, on = waiting[0]
            stale.discard((step, on))
            if failure := _measured(run, chats[on], step, on):
                failures[step, on] = failure
                if step == 0:  # what stands beside the old zero-shot stays as it is
                    stale = {one for one in stale if one[1] != on}
                print(failure, file=sys.stderr, flush=True)
        elif over:
            return list(dict.fromkeys(failures.values()))
        else:
            time.sleep(POLL_SECONDS)


def sample(dataset: Dataset) -> Dataset:
    """The same set with at most QUICK validation chats, evenly drawn, the same ones every time."""
    kept = dataset.splits["validation"]
    drawn = tuple(kept[at * len(kept) // QUICK] for at in range(QUICK)) if len(kept) > QUICK else kept
    return Dataset(dataset.name, {**dataset.splits, "validation": drawn})


def _stale(run: Run, chats: Mapping[str, Dataset]) -> set[tuple[int, str]]:
    """The reports that must be made again, once what only needs new scores has got them."""
    stale, renewed = set[tuple[int, str]](), list[tuple[Report, str]]()
    kept = [(step, on) for on in (SAMPLED, TESTED) for step in run.measured(on)]
    for step, on in kept:
        try:
            renewed += [(report, on) for report in _renewed(run, chats[on], step, on)]
        except Exception:  # a form that nothing reads any more
            stale.add((step, on))
    for report, on in renewed:  # together, so that whoever compares meanwhile hardly meets old beside new
        run.save_report(report.to_json(), on)
    return stale


def _renewed(run: Run, dataset: Dataset, step: int, on: str) -> list[Report]:
    """The report scored again where only its metrics are older; none where it bears today's signature.

    Raises ValueError where more than that differs, and anything for a report of another form.
    """
    report = Report.from_json(run.report(step, on) or {})
    wanted = _signature(dataset, _split(on), run.plan.prompt, Decoding(), report.signature.model)
    differing, examples = report.signature.difference(wanted), dataset.splits[_split(on)]
    if differing and differing != ["metrics"]:
        raise ValueError(f"of another {differing}")
    if not differing:
        return []
    run.note_measuring(step, 0, len(examples), on)
    return [_rescored(report, examples, wanted)]


def _rescored(report: Report, examples: Sequence[Example], signature: Signature) -> Report:
    """The same summaries with the scores of today."""
    found = score_all([one.summary for one in report.results], examples)
    results = zip(report.results, found, strict=True)
    return replace(
        report,
        signature=signature,
        results=tuple(replace(one, scores=scores, verdicts=verdicts) for one, (scores, verdicts) in results),
    )


def _split(on: str) -> str:
    return SPLIT if on == TESTED else "validation"


def _waiting(
    run: Run, failures: Mapping[tuple[int, str], str], stale: Collection[tuple[int, str]]
) -> list[tuple[int, str]]:
    """(checkpoint, SAMPLED or TESTED) in the order in which it is to be measured: quick looks first."""
    steps = [point.step for point in run.checkpoints()]
    done = {on: {step for step in run.measured(on) if (step, on) not in stale} for on in (SAMPLED, TESTED)}
    return [(step, on) for on in done for step in steps if step not in done[on] and (step, on) not in failures]


def _measured(run: Run, dataset: Dataset, step: int, on: str) -> str:
    """Save the report of one checkpoint; what went wrong, in a sentence, or ""."""
    try:
        summarizer = load(run.checkpoint_source(step))
        if before := run.report(step, on):
            _refuse_other_weights(before, summarizer)
        report = measure(
            summarizer,
            dataset,
            _split(on),
            run.plan.prompt,
            Decoding(),
            run.id,
            step,
            lambda done, total: run.note_measuring(step, done, total, on),
        )
        run.save_report(report.to_json(), on)
    except Exception as error:  # whatever one checkpoint's weights or the disk do, the other checkpoints go on
        return f"{label(step).capitalize()} could not be measured: {_plain(error)}"
    return ""


def _refuse_other_weights(before: dict[str, Any], summarizer: Summarizer) -> None:
    """Raises ModelRefused where another model stands in the place of the one whose summaries are to be written anew."""
    then, now = before.get("signature", {}).get("model"), f"{summarizer.name}@{summarizer.digest}"
    if then and then != now:
        reason = f"the weights are no longer those that were measured ({then}, now {now})"
        raise ModelRefused(Problem(reason, "Its figures stay as they are; tune again to compare with today's model."))


def _plain(error: Exception) -> str:
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error).lower():
        return "the machine's memory is full. Close other work, or tune a smaller model."
    return f"{type(error).__name__}: {error}"


def main() -> int:
    """Follow the run whose folder is named; 1 where a checkpoint could not be measured, 2 and a sentence where that is no run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, metavar="RUN_FOLDER")
    folder = parser.parse_args().run
    os.nice(max(0, NICE - os.nice(0)))
    try:
        return 1 if follow(run_at(folder)) else 0
    except RunRefused as refusal:
        print(*refusal.problems, sep="\n", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
