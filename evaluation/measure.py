"""A checkpoint and a split become a Report; run as `python -m evaluation.measure RUN_FOLDER` it follows a whole run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dialogues.dialogue import Dataset, Dialogue, Example, Refused
from evaluation.coverage import COVERAGE, coverage, kept_of, salient
from evaluation.findings import label
from evaluation.grounding import check, unsupported
from evaluation.overlap import OVERLAP, copying, lengths, overlap
from evaluation.report import VERSION, ExampleResult, Report, Signature, Verdict
from evaluation.rouge import ROUGE, rouge
from evaluation.support import SUPPORT, of
from prompting.model import Decoding, Summarizer, Summary, load
from prompting.template import Template
from tuning.runs import SAMPLED, TESTED, Run

METRICS = f"{ROUGE}|{OVERLAP}|{SUPPORT}|{COVERAGE}"
SPLIT = "test"
QUICK = 32  # validation chats of the quick look at a checkpoint, which leaves the test chats alone
POLL_SECONDS = 2.0
NICE = 10  # measuring makes way for training and for the screen

Progress = Callable[[int, int], None]


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
    signature = Signature(
        data=dataset.digest,
        data_name=dataset.name,
        split=split,
        n=len(examples),
        template=template.pattern,
        decoding=decoding.signature,
        metrics=METRICS,
        model=f"{summarizer.name}@{summarizer.digest}",
        version=VERSION,
    )
    return Report(run, step, signature, tuple(map(_result, examples, summaries)))


def text_scores(summary: str, references: Sequence[str]) -> dict[str, float | None]:
    """What reference lines are drawn from too: ROUGE (rouge.py) and lengths (overlap.py). Without a reference, all but `length` are None."""
    return {**rouge(summary, references), **lengths(summary, references)}


def score(summary: str, example: Example) -> tuple[dict[str, float | None], tuple[Verdict, ...]]:
    """Every score of one summary and what the chat says about its spans.

    `unsupported` counts verdicts, `flagged` is 100 where there is any, `support` is that of support.py in %, `coverage` is
    the % kept of the references' key facts, `salience` of what the chat itself marks as weighty; BLEU, chrF and copying
    stand in overlap.py.
    """
    verdicts = check(summary, example.dialogue)
    found = unsupported(verdicts)
    scores = {
        **text_scores(summary, example.references),
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
    are left alone. A checkpoint that fails is named in words on the log and the others go on; the returned sentences are
    those failures.
    """
    chats, failures = {TESTED: run.dataset, SAMPLED: sample(run.dataset)}, dict[tuple[int, str], str]()
    while True:
        over = run.progress().over  # asked before the checkpoints, so that the last one is not missed
        waiting = _waiting(run, failures)
        if waiting:
            step, on = waiting[0]
            if failure := _measured(run, chats[on], step, on):
                failures[step, on] = failure
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


def _waiting(run: Run, failures: Mapping[tuple[int, str], str]) -> list[tuple[int, str]]:
    """(checkpoint, SAMPLED or TESTED) in the order in which it is to be measured: quick looks first."""
    steps = [point.step for point in run.checkpoints()]
    done = {on: set(run.measured(on)) for on in (SAMPLED, TESTED)}
    return [(step, on) for on in done for step in steps if step not in done[on] and (step, on) not in failures]


def _measured(run: Run, dataset: Dataset, step: int, on: str) -> str:
    """Save the report of one checkpoint; what went wrong, in a sentence, or ""."""
    try:
        report = measure(
            load(run.checkpoint_source(step)),
            dataset,
            SPLIT if on == TESTED else "validation",
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


def _plain(error: Exception) -> str:
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error).lower():
        return "the machine's memory is full. Close other work, or tune a smaller model."
    return f"{type(error).__name__}: {error}"


def _result(example: Example, summary: Summary) -> ExampleResult:
    scores, verdicts = score(summary.text, example)
    truncated = summary.input_truncated, summary.output_truncated
    return ExampleResult(example.dialogue.id, summary.text, scores, verdicts, *truncated)


def main(folder: str) -> int:
    """Follow the run in `folder`; the exit status is 1 where a checkpoint could not be measured."""
    os.nice(max(0, NICE - os.nice(0)))
    return 1 if follow(Run(Path(folder))) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
