"""A report holds every chat's scores under its signature, and a followed run ends with a report a checkpoint."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import pytest

from dialogues.dialogue import Dataset
from evaluation.comparison import compare
from evaluation.measure import METRICS, follow, lead3, measure, score, score_all
from evaluation.report import Report
from evaluation.rouge import rouge
from prompting.catalog import DEFAULT
from prompting.model import Decoding, Summary, load
from tuning.jobs import start_measuring
from tuning.plan import Plan
from tuning.runs import FINISHED, MEASURE, RUNNING, SAMPLED, TESTED, TRAIN, Run, State, create

ROOT = Path(__file__).resolve().parents[1]


class FirstSentence:
    """A summarizer at the seam: it copies the customer's first message out of the prompt."""

    name, digest = "first sentence", "0123456789ab"

    def summarize(
        self, prompts: Sequence[str], decoding: Decoding, progress: Callable[[int, int], None] | None = None
    ) -> list[Summary]:
        if progress:
            progress(len(prompts), len(prompts))
        texts = [prompt.split("Customer: ")[1].split("\n")[0] for prompt in prompts]
        return [Summary(text, 700 if at == 0 else 60, 10, at == 0, at == 1) for at, text in enumerate(texts)]

    def stream(self, prompt: str, decoding: Decoding) -> Iterator[str]:
        yield self.summarize([prompt], decoding)[0].text


@pytest.fixture
def run(tmp_path: Path, chats: Dataset, tiny_model: Path) -> Run:
    plan = Plan(str(tiny_model), "full", "quick", DEFAULT.name, 60, 4, 1e-3, 512, "fp32", 1)
    return create(tmp_path, plan, chats, "a run", "somebody")


@pytest.fixture
def finished(run: Run) -> Run:
    run.write_state(State(FINISHED))
    assert follow(run) == []
    return run


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        raise AssertionError(f"{name} was loaded")

    monkeypatch.setattr("evaluation.measure.load", load)


def rewrite(run: Run, summary: str, **signature: str) -> None:
    """Both reports of zero-shot, as if an older TuneProof had written this first summary under this signature."""
    for on in (TESTED, SAMPLED):
        report = Report.from_json(run.report(0, on) or {})
        first = replace(report.results[0], summary=summary)
        older = replace(report, signature=replace(report.signature, **signature), results=(first, *report.results[1:]))
        run.save_report(older.to_json(), on)


def add_checkpoint(run: Run, step: int, model: Path) -> None:
    shutil.copytree(model, run.checkpoint_folder(step))
    run.seal(step)


def test_a_report_has_every_chat_in_order_with_its_scores_and_truncations(chats: Dataset) -> None:
    report = measure(FirstSentence(), chats, "test", DEFAULT, Decoding(), "run", 0)
    examples = chats.splits["test"]
    assert [result.example_id for result in report.results] == [example.dialogue.id for example in examples]
    first = report.results[0]
    assert first.summary == examples[0].dialogue.turns[0].text
    assert first.scores["rougeL"] == rouge(first.summary, examples[0].references)["rougeL"]
    assert first.scores["unsupported"] == 0, "a sentence copied from the chat invents nothing"
    assert [(result.input_truncated, result.output_truncated) for result in report.results[:3]] == [
        (True, False),
        (False, True),
        (False, False),
    ]


def test_an_invented_name_and_amount_are_counted_as_unsupported(chats: Dataset) -> None:
    class Inventor(FirstSentence):
        def summarize(
            self, prompts: Sequence[str], decoding: Decoding, progress: Callable[[int, int], None] | None = None
        ) -> list[Summary]:
            return [Summary("Zebulon was paid $98,765.", 60, 10, False, False) for _ in prompts]

    report = measure(Inventor(), chats, "test", DEFAULT, Decoding())
    assert all((value or 0) >= 2 for value in report.values("unsupported"))
    assert all(verdict.reason for result in report.results for verdict in result.verdicts)


def test_the_signature_says_what_was_measured_with_what(chats: Dataset) -> None:
    signature = measure(FirstSentence(), chats, "test", DEFAULT, Decoding()).signature
    assert (signature.data, signature.split, signature.n) == (chats.digest, "test", 7)
    assert (signature.template, signature.decoding) == (DEFAULT.pattern, "greedy max96 loop16 whole")
    assert (signature.metrics, signature.model) == (METRICS, "first sentence@0123456789ab")


def test_progress_counts_chats_and_a_report_survives_json(chats: Dataset) -> None:
    told: list[tuple[int, int]] = []
    report = measure(FirstSentence(), chats, "test", DEFAULT, Decoding(), "r", 50, lambda *at: told.append(at))
    assert told[-1] == (7, 7)
    assert Report.from_json(report.to_json()) == report


def test_scores_without_a_reference_are_unknown_but_what_the_chat_alone_tells_is_known(chats: Dataset) -> None:
    scores, _ = score("Three words here.", replace(chats.splits["test"][0], references=()))
    assert {name for name, value in scores.items() if value is None} >= {
        "rougeL",
        "rougeL_mean",
        "bleu",
        "length_ratio",
    }
    assert (scores["length"], scores["copied"]) == (3, 0.0)


def test_scores_of_many_at_once_are_those_of_one_by_one_also_for_hostile_texts(chats: Dataset) -> None:
    shipped = Dataset.load(ROOT / "assets" / "chats").splits["validation"]
    hostile = (ROOT / "tests" / "hostile_texts.txt").read_text(encoding="utf-8").split("\n")[::5]
    examples = [*chats.splits["test"], *shipped[:20], *islice(cycle(shipped), len(hostile))]
    examples[3], examples[-1] = (
        replace(examples[3], references=()),
        replace(examples[-1], references=(*hostile[:4], "")),
    )
    texts = [*(example.dialogue.turns[0].text for example in examples[:27]), *hostile]
    assert score_all(texts, examples) == [score(*one) for one in zip(texts, examples, strict=True)]


def test_lead3_is_the_text_of_the_first_three_turns(chats: Dataset) -> None:
    turns = chats.splits["test"][0].dialogue.turns
    assert lead3(chats.splits["test"][0].dialogue) == f"{turns[0].text} {turns[1].text} {turns[2].text}"


def test_a_finished_run_gets_a_report_a_checkpoint_that_can_be_compared(run: Run, tiny_model: Path) -> None:
    add_checkpoint(run, 30, tiny_model)
    run.write_state(State(FINISHED))
    assert follow(run) == []
    reports = [Report.from_json(record) for record in run.reports()]
    assert [(report.run, report.step) for report in reports] == [(run.id, 0), (run.id, 30)]
    comparison = compare(reports, run.dataset.splits["test"], "a run")
    assert comparison.checkpoint(30).change["rougeL"].mean == 0.0, "the same weights write the same summaries"
    assert any(badge.startswith("Word for word as zero-shot: checkpoint 30 in 7 of 7") for badge in comparison.badges)


def test_each_checkpoint_gets_a_quick_look_on_the_same_validation_chats_before_any_test_chat_is_read(
    run: Run, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.measure.QUICK", 3)
    add_checkpoint(run, 30, tiny_model)
    run.write_state(State(FINISHED))
    order: list[tuple[str, int]] = []
    note = Run.note_measuring
    monkeypatch.setattr(Run, "note_measuring", lambda *at: (order.append((at[4], at[1])), note(*at)))
    assert follow(run) == []
    assert list(dict.fromkeys(order)) == [(SAMPLED, 0), (SAMPLED, 30), (TESTED, 0), (TESTED, 30)]
    quick = [Report.from_json(run.report(step, SAMPLED) or {}) for step in (0, 30)]
    assert {report.signature.split for report in quick} == {"validation"} and quick[0].signature.n == 3
    drawn = [[result.example_id for result in report.results] for report in quick]
    assert drawn[0] == drawn[1] and set(drawn[0]) <= {e.dialogue.id for e in run.dataset.splits["validation"]}


def test_reports_of_today_s_signature_are_left_alone(finished: Run, no_model: None) -> None:
    rewrite(finished, summary="Kept as it is.")
    written = finished.report(0)
    assert follow(finished) == []
    assert finished.report(0) == written


def test_a_report_of_older_metrics_gets_today_s_scores_and_no_summary_is_written_again(
    finished: Run, no_model: None
) -> None:
    rewrite(finished, summary="Zebulon was paid $98,765.", metrics="rouge of old")
    assert follow(finished) == []
    for on, split in ((TESTED, "test"), (SAMPLED, "validation")):
        report = Report.from_json(finished.report(0, on) or {})
        assert (report.signature.metrics, report.results[0].summary) == (METRICS, "Zebulon was paid $98,765.")
        found = score(report.results[0].summary, finished.dataset.splits[split][0])
        assert (report.results[0].scores, report.results[0].verdicts) == found


@pytest.mark.parametrize("older", [{"decoding": "greedy of old"}, {"template": "Old: {dialogue}", "metrics": "of old"}])
def test_a_report_of_an_older_decoding_or_template_is_made_again(finished: Run, older: dict[str, str]) -> None:
    whole = finished.report(0), finished.report(0, SAMPLED)
    rewrite(finished, summary="Written in another way.", **older)
    assert follow(finished) == []
    assert (finished.report(0), finished.report(0, SAMPLED)) == whole


def test_where_zero_shot_cannot_be_made_again_its_checkpoints_stay_comparable_with_it(
    finished: Run, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_checkpoint(finished, 30, tiny_model)
    assert follow(finished) == []
    for report in finished.reports():
        report["signature"]["decoding"] = "greedy of old"
        finished.save_report(report)
    monkeypatch.setattr(
        "evaluation.measure.load", lambda source: load("gone" if source == finished.plan.base_model else source)
    )
    assert len(follow(finished)) == 1
    assert {report["signature"]["decoding"] for report in finished.reports()} == {"greedy of old"}


def test_summaries_are_not_written_again_by_another_model_that_came_in_the_place_of_the_measured_one(
    finished: Run,
) -> None:
    rewrite(finished, summary="Written by the model of then.", decoding="greedy of old", model="bundled@000000000000")
    (failure,) = follow(finished)
    assert "no longer those that were measured (bundled@000000000000" in failure
    assert (finished.report(0) or {})["results"][0]["summary"] == "Written by the model of then."


@pytest.mark.parametrize("broken", [{"step": 0, "form": "of old"}, {"results": [{"example_id": "a", "summary": None}]}])
def test_a_report_that_cannot_be_read_any_more_is_made_again(finished: Run, broken: dict[str, object]) -> None:
    whole = finished.report(0) or {}
    finished.save_report({**whole, **broken} if "results" in broken else broken)
    assert follow(finished) == []
    assert finished.report(0) == whole


def test_a_broken_checkpoint_is_named_in_words_and_the_others_go_on(
    run: Run, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_checkpoint(run, 30, tiny_model)
    (run.checkpoint_folder(30) / "model.safetensors").write_bytes(b"cut short")
    add_checkpoint(run, 60, tiny_model)
    run.write_state(State(FINISHED))
    (failure,) = follow(run)
    assert failure.startswith("Checkpoint 30 could not be measured: ")
    assert failure in capsys.readouterr().err
    assert [report["step"] for report in run.reports()] == [0, 60]


@pytest.mark.slow
def test_a_quick_look_that_cannot_be_kept_does_not_cost_the_proof(run: Run, tiny_model: Path) -> None:
    add_checkpoint(run, 30, tiny_model)
    run.write_state(State(FINISHED))
    (run.folder / SAMPLED).write_text("in the way of the folder")
    assert len(follow(run)) == 2
    assert run.measured(TESTED) == [0, 30]


def test_the_child_follows_a_running_run_and_measures_what_comes_later(run: Run, tiny_model: Path) -> None:
    run.note_process(TRAIN, os.getpid())
    run.write_state(State(RUNNING))
    start_measuring(run)
    assert until(lambda: run.report(0) is not None), run.log_tail(job=MEASURE)
    assert run.alive(MEASURE), "it waits for the checkpoints to come"
    add_checkpoint(run, 30, tiny_model)
    run.write_state(replace(run.state(), state=FINISHED))
    assert until(lambda: not run.alive(MEASURE)), run.log_tail(job=MEASURE)
    assert [report["step"] for report in run.reports()] == [0, 30]
    assert run.measuring() is None


def until(holds: Callable[[], bool], seconds: float = 120.0) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.2)
    return holds()
