"""Several runs stand side by side only where they were measured alike, and which is better is said with its interval."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import compare_scripted
from PIL import Image
from test_comparison import BEST, BETTER, SAME, SIGNATURE, ZERO, examples, noise, report

from evaluation import reference_lines
from evaluation.charts import RUNS, overlap_figure
from evaluation.comparison import Comparison, ComparisonRefused, compare
from evaluation.coverage import facts, salient
from evaluation.evidence import index
from evaluation.findings import RUN, label
from evaluation.several import beside, together
from evaluation.significance import paired_difference
from sharing.card import card_png
from sharing.download import csv_file, html_file
from sharing.link import numbers_token, read_token
from sharing.page import published_page
from sharing.sheet import sheet_html, table_html
from sharing.snapshot import Published


@pytest.fixture(scope="module")
def full():
    return compare([ZERO, BETTER], examples(60), "Full")


@pytest.fixture(scope="module")
def lora():
    return compare([ZERO, SAME, BEST], examples(60), "LoRA")


@pytest.fixture(scope="module")
def both(full, lora):
    return together([full, lora])


def test_every_checkpoint_of_every_run_stands_in_it_under_its_run_and_a_shared_zero_shot_once(both):
    assert [at.label for at in both.checkpoints] == [
        "zero-shot",
        "run 1, checkpoint 200",
        "run 2, checkpoint 300",
        "run 2, checkpoint 600",
    ]
    assert both.title == "Run 1: Full · Run 2: LoRA" and both.chosen == 2 * RUN + 600


def test_the_verdict_says_which_run_is_better_by_how_much_and_how_sure(both):
    gain = paired_difference(BEST.values("rougeL"), BETTER.values("rougeL"))
    assert "Run 2, checkpoint 600 beats zero-shot by" in both.verdict
    assert (
        f"Run 2, checkpoint 600 beats run 1, checkpoint 200 by +{gain.mean:.1f} ROUGE-L "
        f"(95 % CI {gain.low:.1f} to {gain.high:.1f}, n = 60); no evidence that their "
        "unsupported facts per summary differ (0.1 against 0.3, " in both.verdict
    )


def test_runs_that_do_alike_are_not_told_apart(full):
    alike = compare([ZERO, report(400, noise(1, 30, spread=5.01), [0.0, 0.0, 1.0] * 20)], examples(60), "Again")
    assert "No evidence of a difference between run " in together([full, alike]).verdict


def test_the_figures_of_a_run_are_those_it_has_alone(both, full, lora):
    for run, alone in enumerate((full, lora), 1):
        for at in alone.checkpoints[1:]:
            assert both.checkpoint(run * RUN + at.step).means == at.means
            assert both.checkpoint(run * RUN + at.step).change["rougeL"].mean == at.change["rougeL"].mean
            assert both.rows[7].outputs[run * RUN + at.step] == alone.rows[7].outputs[at.step]


def test_runs_measured_unlike_are_refused_with_every_difference_and_between_which(full):
    def unlike(**said):
        reports = [replace(one, signature=replace(one.signature, **said)) for one in (ZERO, BEST)]
        return compare(reports, examples(60), "Other")

    others = [unlike(data="d2", data_name="Theirs"), unlike(template="Say: {dialogue}", decoding="beam4")]
    with pytest.raises(ComparisonRefused) as refused:
        together([full, *others])
    said = str(refused.value)
    assert len(refused.value.problems) == 3
    assert "Run 1 “Full” and run 2 “Other” differ in the data set: “Our chats@d1” and “Theirs@d2”." in said
    assert "run 3 “Other” differ in the prompt template: “Summarize: {dialogue}” and “Say: {dialogue}”." in said
    assert "run 3 “Other” differ in the decoding settings: “greedy” and “beam4”." in said


def test_another_model_s_zero_shot_stands_beside_the_first_and_that_is_said(full):
    other = replace(ZERO, signature=replace(SIGNATURE, model="flan@11ee"))
    mixed = together([full, compare([other, BEST], examples(60), "Flan")])
    assert label(2 * RUN) == "run 2, zero-shot" and mixed.checkpoint(2 * RUN).change["rougeL"].mean == 0
    assert any("Run 2 started from flan@11ee; every change is from zero-shot of run 1" in one for one in mixed.badges)


def test_one_run_is_its_own_comparison_and_more_than_four_are_refused(full):
    assert together([full]) is full and beside(full, 200) == [200] and beside(full, 0) == [0]
    for wrong in ([], [full] * 5):
        with pytest.raises(ComparisonRefused, match="Choose one to 4"):
            together(wrong)


def test_beside_the_checkpoint_that_is_looked_at_stands_each_other_run_s_best(both):
    assert beside(both, 2 * RUN + 300) == [RUN + 200, 2 * RUN + 300]
    assert beside(both, RUN + 200) == beside(both, 0) == [RUN + 200, 2 * RUN + 600]


def test_table_sheet_and_curves_show_the_runs_side_by_side(both):
    table = table_html(both, RUN + 200, [0, 1], 0, str)
    assert table.count("Run 1</th>") == table.count("Run 2</th>") == 1 and 'title="run 2, checkpoint 600"' in table
    sheet = sheet_html(both.rows[0], *beside(both, RUN + 200))
    assert all(name in sheet for name in ("Zero-shot", "Run 1, checkpoint 200", "Run 2, checkpoint 600"))
    lines = [trace for trace in overlap_figure(both, RUN + 200).data if trace.mode == "lines+markers"]
    assert [list(line.x) for line in lines] == [[0, 200], [0, 300, 600]]
    assert [line.line.color for line in lines] == list(RUNS[:2])
    assert list(lines[1].customdata) == [0, 2 * RUN + 300, 2 * RUN + 600]


def test_it_travels_like_any_other_as_json_as_a_page_in_a_link_and_as_files(both, tmp_path):
    assert Comparison.from_json(json.loads(json.dumps(both.to_json()))) == both
    published = Published(both, "chats", "2026-01-01", None, {}, "")
    for page in (published_page(published, "0" * 32, {"step": str(RUN + 200)}), html_file(published, RUN + 200, "")):
        assert "Run 1, checkpoint 200" in page and "Run 2, checkpoint 600" in page
    read = read_token(numbers_token(both.numbers_only(), "key"), "key").comparison
    assert [at.label for at in read.checkpoints] == [at.label for at in both.checkpoints]
    assert read.verdict == both.verdict and '\r\nchat-0,delivery,"run 2, checkpoint 600",' in csv_file(both)


def test_the_preview_picture_draws_a_line_for_each_run(both, tmp_path):
    from ui.routes import _fonts

    (tmp_path / "card.png").write_bytes(card_png(both, *_fonts()))
    colours = {
        f"#{r:02x}{g:02x}{b:02x}"
        for r, g, b in np.unique(np.array(Image.open(tmp_path / "card.png")).reshape(-1, 3), axis=0)
    }
    assert set(RUNS[:2]) <= colours and RUNS[2] not in colours


def test_real_reports_of_two_runs_stand_together(chats):
    one = compare_scripted(chats, "One")
    assert together([one, replace(one, title="Two")]).checkpoint(2 * RUN + 200).means == one.checkpoint(200).means


def test_deleted_chats_do_not_stay_in_memory(chats):
    for example in chats.splits["test"]:
        index(example.dialogue), salient(example.dialogue), facts(example.references[0])
    reference_lines.lead3_line(chats.splits["test"])
    reference_lines.forget()
    assert [kept.cache_info().currsize for kept in (index, salient, facts, reference_lines._means)] == [0, 0, 0, 0]
