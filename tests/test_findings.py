"""Numbers in sentences are rounded so that they never contradict the claim they stand beside."""

from __future__ import annotations

from dataclasses import replace

from evaluation.findings import CheckpointScores, best_step, verdict
from evaluation.significance import Interval


def checkpoint(step: int, overlap: float, facts: float, gain: Interval, fewer: Interval) -> CheckpointScores:
    means = {"rougeL": Interval(overlap, overlap - 1, overlap + 1, 110), "unsupported": Interval(facts, 0.0, 1.0, 110)}
    return CheckpointScores(step, "tiny@0", means, {"rougeL": gain, "unsupported": fewer} if step else {})


NOTHING = Interval(0.0, -1.0, 1.0, 110)


def test_the_sentence_of_the_product_page() -> None:
    gain, fewer = Interval(9.8, 8.1, 11.4, 110), Interval(-0.7, -0.9, -0.5, 110)
    points = [checkpoint(0, 20, 0.9, NOTHING, NOTHING), checkpoint(600, 29.8, 0.2, gain, fewer)]
    assert verdict(points, 600, 600) == (
        "Checkpoint 600 beats zero-shot by +9.8 ROUGE-L (95 % CI 8.1 to 11.4, n = 110); "
        "unsupported facts per summary fall from 0.9 to 0.2 (95 % CI −0.9 to −0.5 of the change)."
    )


def test_a_better_score_that_loses_key_facts_says_so_and_an_unsure_loss_is_not_claimed() -> None:
    gain = Interval(2.3, 0.7, 3.8, 140)
    for lost, said in (
        (
            Interval(-12.7, -15.8, -9.9, 140),
            "; key facts kept fall from 37.3 to 24.6 % (95 % CI −15.8 to −9.9 of the change).",
        ),
        (Interval(-12.7, -26.0, 0.6, 140), "of the change)."),
    ):
        zero, after = checkpoint(0, 22.9, 0.2, NOTHING, NOTHING), checkpoint(320, 25.2, 0.1, gain, NOTHING)
        zero = replace(zero, means={**zero.means, "coverage": Interval(37.3, 35.0, 39.0, 140)})
        after = replace(
            after,
            means={**after.means, "coverage": Interval(24.6, 22.0, 27.0, 140)},
            change={**after.change, "coverage": lost},
        )
        text = verdict([zero, after], 320, 320)
        assert text.endswith(said) and ("key facts" in text) == bool(lost.below_zero)


def test_a_small_but_certain_change_is_not_rounded_to_nothing() -> None:
    gain, fewer = Interval(0.62, 0.04, 1.2, 110), Interval(-0.03, -0.06, -0.01, 110)
    points = [checkpoint(0, 20, 0.94, NOTHING, NOTHING), checkpoint(600, 20.62, 0.91, gain, fewer)]
    text = verdict(points, 600, 600)
    assert "beats zero-shot by +0.6 ROUGE-L (95 % CI 0.04 to 1.20, n = 110)" in text
    assert "fall from 0.94 to 0.91 (95 % CI −0.06 to −0.01 of the change)" in text


def test_zero_is_written_without_a_sign() -> None:
    points = [checkpoint(0, 20, 0.5, NOTHING, NOTHING), checkpoint(50, 20, 0.5, Interval(-0.0, 0.0, 0.0, 110), NOTHING)]
    assert "(ROUGE-L 0.0, 95 % CI 0.0 to 0.0, n = 110)" in verdict(points, None, 50)


def test_the_best_checkpoint_needs_an_interval_above_zero_not_only_the_highest_mean() -> None:
    unsure, sure = Interval(9.0, -0.1, 18.0, 110), Interval(4.0, 2.0, 6.0, 110)
    zero = checkpoint(0, 20, 0.5, NOTHING, NOTHING)
    assert best_step([zero, checkpoint(100, 24, 0.5, sure, NOTHING), checkpoint(200, 29, 0.5, unsure, NOTHING)]) == 100
    assert best_step([zero, checkpoint(200, 29, 0.5, unsure, NOTHING)]) is None
