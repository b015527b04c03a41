"""A comparison claims only what its intervals say, refuses unlike reports, and survives a passage through JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from dialogues.dialogue import Dialogue, Example, Turn
from evaluation.comparison import Comparison, ComparisonRefused, compare
from evaluation.report import ABSENT, ExampleResult, Report, Signature, Verdict
from evaluation.rouge import rouge
from evaluation.significance import mean_interval, paired_difference

SIGNATURE = Signature(
    "d1", "Our chats", "test", 60, "Summarize: {dialogue}", "greedy", "rouge|grounding", "tiny@0", "0.1.0"
)


def example(index: int, references: tuple[str, ...] = ("The lamp was late.", "A late lamp was refunded.")) -> Example:
    turns = tuple(Turn(who, f"turn {at} of chat {index}") for at, who in enumerate(("Customer", "Agent") * 2))
    return Example(Dialogue(f"chat-{index}", turns), references, "delivery")


def examples(n: int) -> list[Example]:
    return [example(index) for index in range(n)]


def report(step: int, overlap: Sequence[float | None], invented: Sequence[float | None], text: str = "") -> Report:
    verdict = Verdict(0, 3, "name", ABSENT, 0.0, 2, "The chat says “turn 2”, not Bob.")
    results = tuple(
        ExampleResult(f"chat-{index}", text or f"text {step} {index}", {"rougeL": r, "unsupported": u}, (verdict,))
        for index, (r, u) in enumerate(zip(overlap, invented, strict=True))
    )
    model = "bundled@00ff" if step == 0 else f"checkpoint {step}@{step:04d}"
    return Report("run", step, replace(SIGNATURE, n=len(results), model=model), results)


def noise(seed: int, mean: float, n: int = 60, spread: float = 5.0) -> list[float]:
    return [float(value) for value in np.random.default_rng(seed).normal(mean, spread, n)]


ZERO = report(0, noise(0, 20), [1.0, 0.0] * 30)
BETTER = report(200, noise(1, 30), [0.0, 0.0, 1.0] * 20)
BEST = report(600, noise(2, 35), [0.0] * 59 + [6.0])
SAME = report(300, noise(3, 20), [0.0, 1.0] * 30)
WORSE = report(400, noise(4, 12), [2.0] * 60)


def test_the_verdict_names_the_best_checkpoint_its_gain_how_sure_and_on_how_many_chats() -> None:
    comparison = compare([BEST, ZERO, BETTER], examples(60), "Our chats")
    gain = paired_difference(BEST.values("rougeL"), ZERO.values("rougeL"))
    fewer = paired_difference(BEST.values("unsupported"), ZERO.values("unsupported"))
    assert (comparison.best, comparison.chosen) == (600, 600)
    assert comparison.verdict == (
        f"Checkpoint 600 beats zero-shot by +{gain.mean:.1f} ROUGE-L (95 % CI {gain.low:.1f} to {gain.high:.1f}, n = 60); "
        f"unsupported facts per summary fall from 0.5 to 0.1 (95 % CI −{-fewer.low:.1f} to −{-fewer.high:.1f} of the change)."
    )


def test_no_evidence_of_a_difference_is_a_result() -> None:
    comparison = compare([ZERO, SAME], examples(60), "")
    assert (comparison.best, comparison.chosen) == (None, 300)
    assert comparison.verdict.startswith("No evidence of a difference between checkpoint 300 and zero-shot (ROUGE-L ")
    assert "; no evidence that unsupported facts per summary change (0.5 to 0.5, 95 % CI −" in comparison.verdict


def test_worse_is_said_as_plainly_as_better_and_inventing_more_too() -> None:
    comparison = compare([ZERO, WORSE], examples(60), "")
    assert comparison.best is None
    assert comparison.verdict.startswith("Checkpoint 400 does worse than zero-shot by −")
    assert "unsupported facts per summary rise from 0.5 to 2.0 (" in comparison.verdict


def test_a_better_score_whose_facts_did_not_change_says_so() -> None:
    comparison = compare([ZERO, report(200, noise(1, 30), [0.0, 1.0] * 30)], examples(60), "")
    assert comparison.verdict.startswith("Checkpoint 200 beats zero-shot by +")
    assert "; no evidence that unsupported facts per summary change" in comparison.verdict


def test_zero_shot_alone_and_few_chats_claim_nothing() -> None:
    alone = compare([ZERO], examples(60), "")
    assert alone.verdict.startswith("Only zero-shot has been measured so far: ")
    few = compare([report(0, [10.0] * 4, [1.0] * 4), report(50, [90.0] * 4, [0.0] * 4)], examples(4), "")
    assert few.best is None
    assert few.verdict.startswith("Too few chats to tell checkpoint 50 from zero-shot (ROUGE-L +80.0, n = 4")


def test_chats_without_references_have_unknown_rouge_never_zero() -> None:
    some = [None, *noise(0, 20)[1:]]
    after = [None, *noise(1, 30)[1:]]
    comparison = compare([report(0, some, [1.0] * 60), report(200, after, [1.0] * 60)], examples(60), "")
    assert (comparison.checkpoint(0).means["rougeL"].n, comparison.checkpoint(0).means["rougeL"].unknown) == (59, 1)
    assert "ROUGE is unknown for 1 of 60 chats, which have no reference; they are left out." in comparison.badges
    bare = [example(index, ()) for index in range(60)]
    none = compare([report(0, [None] * 60, [1.0] * 60), report(200, [None] * 60, [0.0] * 60)], bare, "")
    assert none.verdict.startswith("ROUGE is unknown for checkpoint 200: no chat has a reference summary; unsupported")
    assert none.human == {} and "rougeL" not in none.lead3


def test_means_and_changes_are_those_of_the_paired_bootstrap() -> None:
    comparison = compare([ZERO, BETTER, BEST], examples(60), "")
    for given in (ZERO, BETTER, BEST):
        found = comparison.checkpoint(given.step)
        alone = mean_interval(given.values("rougeL"))
        assert (found.means["rougeL"].mean, found.means["rougeL"].low) == pytest.approx((alone.mean, alone.low))
    change = paired_difference(BETTER.values("rougeL"), ZERO.values("rougeL"))
    assert comparison.checkpoint(200).change["rougeL"].high == pytest.approx(change.high)
    assert [point.label for point in comparison.checkpoints] == ["zero-shot", "checkpoint 200", "checkpoint 600"]
    assert comparison.checkpoint(0).change == {}


def test_the_reference_lines_are_lead3_and_people_against_each_other() -> None:
    comparison = compare([ZERO], examples(60), "")
    first, second = example(0).references
    lead = "turn 0 of chat 0 turn 1 of chat 0 turn 2 of chat 0"
    assert comparison.lead3["rougeL"] == pytest.approx(rouge(lead, (first, second))["rougeL"])
    assert comparison.lead3["length"] == 15
    both = (rouge(first, [second])["rougeL"] or 0.0, rouge(second, [first])["rougeL"] or 0.0)
    assert comparison.human["rougeL"] == pytest.approx(sum(both) / 2)
    single = compare([ZERO], [example(index, ("The lamp was late.",)) for index in range(60)], "")
    assert single.human == {}


def test_unlike_reports_are_refused_with_every_difference_in_plain_words() -> None:
    other = replace(
        BETTER, signature=replace(BETTER.signature, decoding="beam4", template="Say: {dialogue}", data="d2")
    )
    with pytest.raises(ComparisonRefused) as refused:
        compare([ZERO, other], examples(60), "")
    text = str(refused.value)
    assert len(refused.value.problems) == 3
    assert "differ in the decoding settings: “greedy” and “beam4”." in text
    assert (
        "differ in the prompt template" in text and "differ in the data set: “Our chats@d1” and “Our chats@d2”" in text
    )


def test_reports_that_miss_zero_shot_or_mix_runs_or_chats_are_refused() -> None:
    for reports, chats, words in (
        ([], examples(60), "no report to compare"),
        ([BETTER], examples(60), "Zero-shot"),
        ([ZERO, replace(BETTER, run="another")], examples(60), "different runs"),
        ([ZERO, BETTER, BETTER], examples(60), "two reports"),
        ([ZERO, BETTER], examples(59), "not the chats that were measured"),
        ([report(0, [], [])], [], "no chat to compare on"),
    ):
        with pytest.raises(ComparisonRefused, match=words):
            compare(reports, chats, "")


def test_badges_warn_of_what_makes_numbers_doubtful() -> None:
    zero = report(0, noise(0, 20, 12), [1.0] * 12, text="The same.")
    first = replace(zero.results[0], summary="", input_truncated=True, output_truncated=True)
    tuned = replace(report(50, noise(1, 20, 12), [1.0] * 12, text="The same."), results=(first, *zero.results[1:]))
    assert compare([zero, tuned], examples(12), "").badges == (
        "Only 12 chats: the intervals are wide.",
        "1 of 12 chats did not fit the model's window: their end was not read.",
        "Stopped at the length limit: checkpoint 50 in 1 of 12.",
        "Empty summaries: checkpoint 50 in 1 of 12.",
        "One and the same summary: zero-shot in 12 of 12, checkpoint 50 in 11 of 12.",
        "Word for word as zero-shot: checkpoint 50 in 11 of 12.",
    )
    (power,) = compare([ZERO, BETTER], examples(60), "").badges
    assert power.startswith("60 chats show a true change of 2.2 ROUGE-L or more four times out of five")


def test_a_checkpoint_is_best_only_where_it_stays_so_after_correcting_for_all_looks() -> None:
    lucky = report(100, [value + 1.5 for value in noise(6, 20)], [1.0, 0.0] * 30)
    change = compare([ZERO, lucky], examples(60), "").checkpoint(100).change["rougeL"]
    assert change.p is not None and 0.01 < change.p < 0.05 and change.above_zero
    others = [report(step, noise(step, 20), [1.0, 0.0] * 30) for step in (200, 300, 400, 500)]
    together = compare([ZERO, lucky, *others], examples(60), "")
    assert together.best is None
    assert together.verdict.startswith("No evidence of a difference")
    assert "5 checkpoints were compared" in together.badges[-1]


def test_each_row_tells_what_happened_to_its_chat() -> None:
    rows = compare([ZERO, BEST], examples(60), "").rows
    assert [row.example_id for row in rows] == [f"chat-{index}" for index in range(60)]
    assert rows[0].change(600, "unsupported") == -1.0
    assert rows[0].tags(600) == ("improved", "invention removed", "different")
    assert rows[0].tags(0) == ()


def test_a_comparison_survives_json_text_unchanged() -> None:
    comparison = compare([ZERO, BETTER, BEST], examples(60), "Our chats 😀")
    text = json.dumps(comparison.to_json(), sort_keys=True)
    again = Comparison.from_json(json.loads(text))
    assert again == comparison
    assert json.dumps(again.to_json(), sort_keys=True) == text


def test_the_same_reports_give_the_same_comparison_in_any_order() -> None:
    assert compare([ZERO, BETTER, BEST], examples(60), "x") == compare([BEST, BETTER, ZERO], examples(60), "x")


@pytest.mark.parametrize("record", [{}, {"schema": 2}, {"schema": 1, "title": "x"}, {"schema": 1, "rows": 3}, []])
def test_what_is_no_comparison_is_refused_not_crashed_on(record: object) -> None:
    with pytest.raises(ComparisonRefused, match="not a comparison"):
        Comparison.from_json(record)  # type: ignore[arg-type]


def test_sharing_without_chats_leaves_no_word_of_them_and_numbers_only_leaves_numbers() -> None:
    comparison = compare([ZERO, BEST], examples(60), "Our chats")
    shared = json.dumps(comparison.without_chats().to_json())
    assert "turn 2" not in shared and "text 600 7" in shared and "The lamp was late." in shared
    bare = json.dumps(comparison.numbers_only().to_json())
    assert "chat-" not in bare and "text 600" not in bare and "lamp" not in bare
    assert comparison.numbers_only().verdict == comparison.verdict


def test_a_comparison_made_again_with_one_more_checkpoint_scores_no_text_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = compare([ZERO, BETTER], examples(60), "")
    monkeypatch.setattr("evaluation.reference_lines.rouge_many", None)
    after = compare([ZERO, BETTER, BEST], examples(60), "")
    assert (after.lead3, after.human) == (before.lead3, before.human)


def test_a_thousand_chats_and_twenty_checkpoints_compare_in_about_a_second() -> None:
    names = [*rouge("a", ["b"]), "unsupported", "length", "length_ratio"]
    rng = np.random.default_rng(0)
    words = [f"word{index}" for index in range(400)]
    chats = [example(index, tuple(" ".join(rng.choice(words, 40)) for _ in range(2))) for index in range(1000)]
    reports = []
    for step in range(0, 2000, 100):
        table = rng.normal(20, 5, size=(1000, len(names)))
        results = tuple(
            ExampleResult(f"chat-{index}", f"{step} {index}", dict(zip(names, map(float, row), strict=True)), ())
            for index, row in enumerate(table)
        )
        reports.append(Report("run", step, replace(SIGNATURE, n=1000), results))
    start = time.process_time()
    compare(reports, chats, "")
    assert time.process_time() - start < 6  # measured: 1.5 s the first time; the machine may be busy
