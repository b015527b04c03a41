"""What a slice promises: every chat in exactly one part of a kind, its n, and the same paired change as by hand."""

from dataclasses import replace

import pytest

from evaluation.significance import paired_difference
from evaluation.slices import slices
from sharing.breakdown import slices_html
from sharing.sheet import choose_rows, sorts


def test_every_chat_is_in_exactly_one_part_by_length_and_by_turns(comparison):
    found = slices(comparison, 200)
    for kind in ("length", "turns", "topic"):
        assert sum(one.n for one in found if one.kind == kind) == len(comparison.rows)


def test_a_slice_s_change_is_the_paired_difference_of_its_chats(comparison):
    found = {one.name: one for one in slices(comparison, 200) if one.kind == "topic"}
    rows = [row for row in comparison.rows if row.topic == "refund"]
    after, before = ([row.outputs[step].scores["rougeL"] for row in rows] for step in (200, 0))
    assert found["refund"].change["rougeL"] == paired_difference(after, before)


def test_what_is_not_known_is_left_out_and_not_shown_as_zero(comparison):
    assert {one.kind for one in slices(comparison.without_chats(), 200)} == {"topic"}
    bare = replace(comparison, rows=tuple(replace(row, turns=(), topic="") for row in comparison.rows))
    assert slices(bare, 200) == []
    assert slices_html(comparison, 0) == "" and slices_html(comparison.numbers_only(), 200) == ""


def test_the_table_tells_each_slice_with_its_n(comparison):
    table = slices_html(comparison, 200)
    assert "By length of the chat" in table and "By number of turns" in table and "By topic" in table
    n = sum(row.topic == "billing" for row in comparison.rows)
    assert f'<td class="topic">billing</td><td class="n">{n}</td>' in table


@pytest.mark.parametrize("end", ["low", "high"])
def test_examples_can_be_sorted_by_any_score_and_unknown_ones_stand_last(comparison, end):
    first = comparison.rows[0]
    unknown = replace(first.outputs[200], scores={**first.outputs[200].scores, "rouge1": None})
    rows = (replace(first, outputs={**first.outputs, 200: unknown}), *comparison.rows[1:])
    changed = replace(comparison, rows=rows)
    for score in first.outputs[200].scores:
        assert f"{end}:{score}" in sorts(changed)
    order = choose_rows(changed, 200, "all", f"{end}:rouge1")
    values = [rows[at].outputs[200].scores["rouge1"] for at in order]
    assert values[-1] is None and values[:-1] == sorted(values[:-1], reverse=end == "high")
