"""What raters can rely on: nobody can tell the sides, nothing is asked twice, and the result is what was said."""

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.preference import LOSS, TIE, WIN, Cards, Judgement, keep, kept, pair_mark, standing, tally
from tuning.runs import Run
from ui.blind_panel import _pair, result_html

IDS = [f"chat-{at}" for at in range(200)]
PAIRS = dict.fromkeys(IDS, "two summaries")


def said(rater, *choices, step=200):
    return [
        Judgement(rater, step, chat, choice, PAIRS[chat]) for chat, choice in zip(IDS, choices, strict=False) if choice
    ]


def test_each_chat_comes_once_and_a_rater_goes_on_where_they_stopped():
    seen, judged, pairs = [], [], dict.fromkeys(IDS[:50], "two summaries")
    for _ in range(50):
        seen.append(Cards("Ann", 200, pairs).following(judged))  # made anew each time, as after a reload
        judged.append(Cards("Ann", 200, pairs).judged(seen[-1], "A"))
    assert sorted(seen) == sorted(pairs) and Cards("Ann", 200, pairs).following(judged) is None
    assert Cards("Ben", 200, pairs).following(judged) and Cards("Ann", 400, pairs).following(judged)


def test_a_judgement_counts_for_the_two_summaries_it_was_made_on_and_for_no_others():
    judged = [Cards("Ann", 200, PAIRS).judged(chat, "A") for chat in IDS[:3]]
    anew = PAIRS | {IDS[1]: pair_mark("one", "written anew")}
    assert [one.chat for one in standing(judged, 200, PAIRS)] == IDS[:3]
    assert [one.chat for one in standing(judged, 200, anew)] == [IDS[0], IDS[2]]
    assert Cards("Ann", 200, {IDS[1]: anew[IDS[1]]}).following(judged) == IDS[1]
    assert pair_mark("one", "two") != pair_mark("two", "one")


def test_sides_are_even_and_differ_between_raters():
    ann, ben = (np.array([Cards(name, 200, PAIRS).tuned_first(chat) for chat in IDS]) for name in ("Ann", "Ben"))
    assert 70 < ann.sum() < 130 and 70 < (ann == ben).sum() < 130


@given(st.text(min_size=1), st.text())
def test_the_card_that_shows_the_tuned_summary_is_the_one_that_counts_for_it(rater, chat):
    cards = Cards(rater, 200, {chat: "mark"})
    first, second = (WIN, LOSS) if cards.tuned_first(chat) else (LOSS, WIN)
    assert [cards.judged(chat, card).choice for card in ("A", "tie", "B")] == [first, TIE, second]
    with pytest.raises(ValueError, match="no card"):
        cards.judged(chat, "C")


def test_a_tie_counts_half_and_a_chat_counts_once_however_many_raters_it_had():
    result = tally([*said("Ann", WIN, WIN, TIE, LOSS), *said("Ben", WIN, LOSS)])
    assert (result.wins, result.ties, result.losses, result.raters) == (3, 1, 2, ("Ann", "Ben"))
    assert result.rate.mean == (100 + 50 + 50 + 0) / 4 and result.rate.n == 4 and result.rate.low is None


def test_a_rater_may_think_again_and_other_checkpoints_do_not_mix():
    result = tally(standing([*said("Ann", LOSS), *said("Ann", WIN), *said("Ann", LOSS, step=400)], 200, PAIRS))
    assert (result.wins, result.losses) == (1, 0)


def test_agreement_is_krippendorff_s_alpha_of_the_library_and_unknown_where_nothing_follows():
    ann, ben = (WIN, WIN, LOSS, TIE, WIN, LOSS), (WIN, TIE, LOSS, TIE, LOSS, LOSS)
    scale = {LOSS: 0, TIE: 1, WIN: 2}
    table = [[scale[one] for one in rater] for rater in (ann, ben)]
    wanted = krippendorff.alpha(reliability_data=table, level_of_measurement="ordinal")
    assert tally([*said("Ann", *ann), *said("Ben", *ben)]).alpha == pytest.approx(wanted)
    assert tally(said("Ann", *ann)).alpha is None
    assert tally([*said("Ann", WIN, WIN), *said("Ben", WIN, WIN)]).alpha is None
    assert tally([]).alpha is None and tally([]).rate.mean is None


def test_full_agreement_is_one():
    choices = (WIN, LOSS, TIE, WIN)
    assert tally([*said("Ann", *choices), *said("Ben", *choices)]).alpha == 1


def test_judgements_are_stored_with_the_run_and_come_back(tmp_path):
    path = Run(tmp_path / "new").preferences
    assert kept(path) == []
    for one in said("Ann <b>", WIN, TIE):
        keep(path, one)
    assert kept(path) == said("Ann <b>", WIN, TIE)


def test_a_pair_of_cards_names_neither_checkpoint_nor_scores_and_marks_nothing(comparison):
    row = comparison.rows[0]
    shown = _pair(row, Cards("Ann", 200, {row.example_id: "mark"}))
    for told in ("Zero-shot", "Tuned", "ROUGE", "mark", "200"):
        assert told not in shown
    assert all(output.summary.replace("'", "&#x27;") in shown for output in row.outputs.values())


def test_the_result_is_told_with_interval_counts_and_agreement():
    both = [*said("Ann", *[WIN] * 8, LOSS), *said("<Ben>", *[WIN] * 7, TIE, LOSS)]
    words = result_html(tally(both), 200)
    assert "95 % CI" in words and "15 wins, 1 ties, 2 losses" in words and "α = 0." in words and "&lt;Ben&gt;" in words
    assert "Nobody has judged checkpoint 400" in result_html(tally([]), 400)
