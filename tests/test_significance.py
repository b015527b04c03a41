"""Intervals are seeded, paired, honest about unknown and few values, and agree with scipy's."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.stats import bootstrap, ttest_rel

from evaluation.significance import Interval, holm, intervals, mean_interval, paired_difference

SCORES = list(np.random.default_rng(7).beta(2, 5, size=110) * 100)


def test_the_interval_agrees_with_scipys_percentile_bootstrap() -> None:
    authority = bootstrap((SCORES,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    ours = mean_interval(SCORES, resamples=20_000)
    width = authority.high - authority.low
    assert ours.mean == pytest.approx(np.mean(SCORES))
    assert (ours.low, ours.high) == pytest.approx((authority.low, authority.high), abs=0.03 * width)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    assert mean_interval(SCORES, seed=3) == mean_interval(SCORES, seed=3)
    assert mean_interval(SCORES, seed=3) != mean_interval(SCORES, seed=4)


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    draws = np.random.default_rng(5).exponential(10.0, size=(60, 400))  # 400 studies of 60 skewed chats, true mean 10
    found = intervals(draws)
    held = np.mean([interval.low <= 10.0 <= interval.high for interval in found])
    assert 0.90 <= held <= 0.98


def test_unknown_values_are_counted_and_left_out_never_zero() -> None:
    mixed = [None if index % 10 == 0 else value for index, value in enumerate(SCORES)]
    ours = mean_interval(mixed)
    assert (ours.n, ours.unknown) == (99, 11)
    assert ours.mean == pytest.approx(np.mean([value for value in mixed if value is not None]))
    assert ours.low < ours.mean < ours.high


def test_a_difference_is_paired_chat_by_chat() -> None:
    after = [value + 1 + (index % 3) / 10 for index, value in enumerate(SCORES)]
    paired = paired_difference(after, SCORES)
    assert paired.above_zero and not paired.below_zero
    assert paired.high - paired.low < 0.1 * (mean_interval(SCORES).high - mean_interval(SCORES).low)
    backwards = paired_difference(SCORES, after)
    assert backwards.below_zero and backwards.mean == pytest.approx(-paired.mean)


def test_a_pair_with_one_side_unknown_is_left_out() -> None:
    difference = paired_difference(
        [3.0, None, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0], [1.0, 2.0, None, 4.0, 5.0, 6.0, 7.0, 8.0]
    )
    assert difference == Interval(2.0, 2.0, 2.0, n=6, unknown=2, p=difference.p)
    assert difference.p is not None and difference.p < 0.001


def test_p_agrees_with_the_paired_t_test() -> None:
    rng = np.random.default_rng(4)
    for shift in (0.0, 0.3, 0.6, 1.0):
        before = rng.normal(30, 5, 110)
        after = before + rng.normal(shift, 3, 110)
        found = paired_difference(after.tolist(), before.tolist()).p
        assert found == pytest.approx(ttest_rel(after, before).pvalue, abs=0.02)


def test_holms_correction_equals_the_hand_worked_example() -> None:
    # sorted: .005 x 4 = .02, .01 x 3 = .03, .03 x 2 = .06, .04 x 1 = .04, which may not be below the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, None, 0.9]) == [0.8, None, 0.9]
    assert holm([]) == []


def test_a_finding_that_fails_the_correction_is_none_although_its_interval_excludes_zero() -> None:
    assert Interval(1.0, 0.1, 1.9, 50, p=0.03).above_zero
    assert not Interval(1.0, 0.1, 1.9, 50, p=0.06).above_zero
    assert Interval(1.0, 0.1, 1.9, 50).above_zero, "a snapshot of the first version holds no p"


def test_a_true_difference_of_the_detectable_size_is_found_four_times_out_of_five() -> None:
    rng = np.random.default_rng(1)
    size = float(np.mean([one.detectable for one in intervals(rng.normal(0, 8, (110, 50)))]))
    found = [one.above_zero for one in intervals(rng.normal(size, 8, (110, 400)), resamples=500)]
    assert 0.72 < sum(found) / 400 < 0.88


def test_unlike_lengths_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="same chats on both sides"):
        paired_difference([1.0], [1.0, 2.0])


def test_too_few_chats_have_a_mean_but_no_interval_so_nothing_is_claimed() -> None:
    few = paired_difference([9.0] * 5, [1.0] * 5)
    assert few == Interval(8.0, None, None, n=5)
    assert not few.above_zero
    assert mean_interval([]) == Interval(None, None, None, n=0)
    assert mean_interval([None, None]) == Interval(None, None, None, n=0, unknown=2)


def test_equal_outputs_give_a_difference_of_exactly_zero_and_no_claim() -> None:
    same = paired_difference(SCORES, SCORES)
    assert (same.mean, same.low, same.high) == (0.0, 0.0, 0.0)
    assert not same.above_zero and not same.below_zero


def test_an_interval_does_not_depend_on_which_other_scores_are_asked_for() -> None:
    table = np.array([SCORES, [np.nan, *SCORES[1:]], SCORES[::-1]]).T
    together = intervals(table)
    alone = mean_interval(SCORES)
    assert (together[0].low, together[0].high) == pytest.approx((alone.low, alone.high), abs=1e-9)
    assert (together[1].n, together[1].unknown) == (109, 1)


def test_a_thousand_chats_times_four_hundred_columns_take_about_a_second() -> None:
    table = np.random.default_rng(0).normal(size=(1000, 400))
    start = time.process_time()
    intervals(table)
    assert time.process_time() - start < 5  # measured: under 1 s; the machine may be busy
