"""What a visitor can rely on when the screens are asked directly, without a browser."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest
from conftest import script_reports

from dialogues.dialogue import Dataset, Dialogue, Problem, Refused, Turn
from evaluation.findings import RUN
from evaluation.preference import Cards, kept
from prompting.catalog import DEFAULT
from prompting.model import Decoding
from sharing.desk import Desk
from tuning import line
from tuning.plan import Plan
from tuning.quota import Quota
from tuning.runs import CANCELLED, FINISHED, RUNNING, TRAIN, RunRefused, State, create, open_run
from ui import prompt_tab, tune_tab, upload_panel
from ui.blind_panel import _pairs
from ui.house import build
from ui.refusals import as_messages
from ui.settings import Settings

ASSETS = Path(__file__).resolve().parents[1] / "assets"
PLAN = Plan("bundled", "full", "quick", DEFAULT.name, 200, 4, 1e-3, 512, "fp32", 1)
CHAT = Dialogue("x", (Turn("Ann", "My lamp is broken."), Turn("Bob", "A new one is on its way.")))


@pytest.fixture
def settings(tmp_path, comparison):
    """The app as it is shipped, but with the tests' own comparison as the recorded one."""
    assets = tmp_path / "assets"
    (assets / "recorded").mkdir(parents=True)
    for path in ASSETS.iterdir():
        if path.name != "recorded":
            (assets / path.name).symlink_to(path)
    (assets / "recorded" / "comparison.json").write_text(json.dumps(comparison.to_json()))
    return Settings(tmp_path / "home", assets)


def handler(settings, name):
    (found,) = [one.fn for one in build(settings).fns.values() if getattr(one.fn, "__name__", "") == name][:1]
    return found


def test_opening_another_comparison_keeps_the_filter_that_the_screen_shows_and_goes_to_page_one(settings, comparison):
    shown = handler(settings, "open_comparison")(["recorded"], "regressed", "gain")
    table, page = shown[4], shown[-1]
    regressed = [row for row in comparison.rows if "regressed" in row.tags(comparison.chosen)]
    assert f"{len(regressed)} chats, page 1" in table and page == 1


def test_without_anything_measured_the_compare_tab_says_what_to_do(settings):
    assert "Start a run under Tune" in handler(settings, "open_comparison")([], "all", "gain")[1]


def test_a_base_model_is_never_a_checkpoint_by_its_secret_address(settings):
    demo = build(settings)
    pickers = {block._id for block in demo.blocks.values() if getattr(block, "label", "") == "Base model"}
    assert pickers and not any({out._id for out in one.outputs} & pickers for one in demo.fns.values())


def test_a_model_that_cannot_be_had_says_so_in_its_own_card_and_the_others_answer(settings, tiny_model):
    asked = ["/nowhere/at/all", str(tiny_model)]
    *_, cards = prompt_tab._answers(settings, CHAT, DEFAULT, Decoding(max_new_tokens=4), asked)
    assert "There is no model at /nowhere/at/all" in cards[0].note and not cards[0].done
    assert cards[1].done and "tokens in" in cards[1].note


def test_a_refusal_is_shown_as_text_and_never_as_markup():
    with pytest.raises(gr.Error) as shown, as_messages("Not done"):
        raise Refused(Problem("No column <img src=x>.", "Choose one."))
    assert "&lt;img" in shown.value.message and "<img" not in shown.value.message


def test_the_table_of_refused_rows_lies_where_uploads_are_cleared_away(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    button = upload_panel.refused_file((Problem("It is torn.", "Mend it.", 3, "chat"),))
    path = Path(button.value["path"] if isinstance(button.value, dict) else button.value)
    assert path.is_relative_to(tmp_path) and "3,chat,It is torn.,Mend it." in path.read_text(encoding="utf-8-sig")


def test_nobody_starts_a_run_in_nobody_s_name(settings, chats):
    plan = tune_tab._plan(settings, upload_panel.Chats(chats), "bundled", "full", "quick", "summarize")
    with pytest.raises(RunRefused, match="Reload"):
        create(settings.runs, plan, chats, "x", "")


def test_a_stray_folder_among_the_runs_keeps_nobody_from_starting(settings):
    (settings.runs / "backup").mkdir(parents=True)
    assert line.training(settings.runs) == [] and line.order(settings.runs) == []


def test_a_missing_model_gets_a_sentence(settings, chats):
    with pytest.raises(Refused, match="No model is chosen"):
        tune_tab._plan(settings, upload_panel.Chats(chats), None, "full", "quick", "summarize")


def test_an_upload_is_read_also_where_nobody_opened_the_box_for_columns(settings, tmp_path):
    path = tmp_path / "march.csv"
    rows = "".join(f'"Ann: Hi {n}\nBob: Ho {n}",They greet {n}.\n' for n in range(40))
    path.write_text("chat,summary\n" + rows)
    found, shown, *_ = handler(settings, "take")(upload_panel.OWN, str(path), None, None, None)
    assert sum(map(len, found.dataset.splits.values())) == 40 and "march" in shown


def test_a_link_can_be_taken_back_by_the_browser_that_published_it_also_after_a_reload(settings):
    links, _ = handler(settings, "share")(["recorded"], "numbers", "never", "ann", [])
    ((words, snapshot_id),) = links
    assert settings.snapshots.fetch(snapshot_id) and "Numbers only" in words
    with pytest.raises(gr.Error):
        handler(settings, "take_back")(snapshot_id, "bob", links)
    left, _ = handler(settings, "take_back")(snapshot_id, "ann", links)
    assert left == []
    with pytest.raises(Refused):
        settings.snapshots.fetch(snapshot_id)


@pytest.fixture
def runs(settings, chats):
    """Two measured runs of Ada's on the same chats, and one with another template."""
    made = []
    for name, template in (("Full", None), ("LoRA", None), ("Other", "Say: {dialogue}")):
        run = create(settings.runs, PLAN, chats, name, "ada")
        for report in script_reports(chats):
            said = (
                report if template is None else replace(report, signature=replace(report.signature, template=template))
            )
            run.save_report(said.to_json())
        made.append(run.id)
    return made


def test_several_runs_are_opened_published_and_linked_as_one_comparison(settings, runs):
    shown = handler(settings, "open_comparison")(runs[:2], "all", "gain")
    assert "Run 1: Full · Run 2: LoRA" in shown[1] and "No evidence of a difference between run" in shown[1]
    links, _ = handler(settings, "share")(runs[:2], "numbers", "never", "ada", [])
    assert settings.snapshots.fetch(links[0][1]).title == "Run 1: Full · Run 2: LoRA"
    page = Desk(settings.home).publish(",".join(runs[:2]), "numbers", 30, "ada")
    assert settings.snapshots.fetch(page["id"]) == settings.snapshots.fetch(links[0][1])


def test_runs_measured_unlike_are_not_opened_and_the_screen_names_the_difference(settings, runs):
    said = handler(settings, "open_comparison")([runs[0], runs[2]], "all", "gain")[1]
    assert "Run 1 “Full” and run 2 “Other” differ in the prompt template" in said and "“Say: {dialogue}”" in said


def test_a_report_that_was_scored_again_is_what_the_screen_shows_next(settings, runs):
    shown, run = handler(settings, "open_comparison"), open_run(settings.runs, runs[0])
    before = shown(runs[:1], "all", "gain")
    for report in run.reports():
        report["signature"]["metrics"] = "counted anew"
        run.save_report(report)
    assert "counted anew" not in str(before) and "counted anew" in str(shown(runs[:1], "all", "gain"))


def test_opening_the_tab_keeps_the_runs_that_are_shown_unless_another_one_is_being_watched(settings, runs):
    arrive = handler(settings, "arrive")
    assert arrive("ada", runs[1], runs[:2], [])[0].value == runs[:2]
    assert arrive("ada", runs[2], runs[:2], [])[0].value == [runs[2]]
    assert arrive("ada", None, ["gone"], [])[0].value == [runs[2]]  # the newest


def test_among_several_runs_blind_judgements_are_kept_with_the_run_that_is_judged(settings, runs, comparison):
    judge, told = handler(settings, "judge"), handler(settings, "told")
    cards = Cards("Ann", 200, _pairs(comparison, 200))
    said = {"chat": (chat := cards.following([])), "hand": cards.mark(chat), "card": "tie"}
    judge(runs[:2], 2 * RUN + 200, "Ann", "ada", gr.EventData(None, said))
    assert "Nobody has judged" in told(runs[:1], 200, "ada") and "1 ties" in told(runs[1:2], 200, "ada")


def test_a_key_that_meets_cards_dealt_to_another_name_judges_nothing(settings, runs, comparison):
    cards = Cards("Ann", 200, _pairs(comparison, 200))
    said = {"chat": (chat := cards.following([])), "hand": cards.mark(chat), "card": "A"}
    dealt = handler(settings, "judge")(runs[:1], 200, "Ben", "ada", gr.EventData(None, said))
    assert "Ben: pair 1 of" in dealt and "Nobody has judged" in handler(settings, "told")(runs[:1], 200, "ada")


def test_a_key_that_comes_after_the_summaries_were_made_anew_judges_nothing(settings, runs, comparison):
    older = Cards("Ann", 200, dict.fromkeys(_pairs(comparison, 200), "what the two summaries were before"))
    said = {"chat": (chat := older.following([])), "hand": older.mark(chat), "card": "A"}
    handler(settings, "judge")(runs[:1], 200, "Ann", "ada", gr.EventData(None, said))
    assert not kept(open_run(settings.runs, runs[0]).preferences)


def test_a_pair_is_judged_once_however_often_its_key_arrives(settings, runs, comparison):
    cards = Cards("Ann", 200, _pairs(comparison, 200))
    said = {"chat": (chat := cards.following([])), "hand": cards.mark(chat), "card": "tie"}
    for _ in range(3):
        dealt = handler(settings, "judge")(runs[:1], 200, "Ann", "ada", gr.EventData(None, said))
    assert "Ann: pair 2 of" in dealt
    assert len(kept(open_run(settings.runs, runs[0]).preferences)) == 1


def chosen(**changes):
    usual = {"model": "bundled", "method": "full", "size": "quick", "template": DEFAULT.name, "precision": ""}
    return [*(usual | changes).values(), "", "", ""]


def test_a_plan_over_the_quota_is_refused_with_every_reason_and_nothing_is_begun(settings, chats):
    found, full = upload_panel.Chats(chats), replace(settings, quota=Quota(kept=1, disk_bytes=10**6))
    run = create(settings.runs, PLAN, chats, "first", "ada")
    wrong = chosen(precision="fp16")
    html = handler(full, "foresee")(found, "ada", *wrong)
    assert all(
        words in html for words in ("overflows in fp16", "You keep 1 runs; 1 are allowed", "Delete run and chats")
    )
    with pytest.raises(gr.Error, match="You keep 1 runs"):
        handler(full, "begin")(found, "ada", *chosen(), "second")
    assert [one.name for one in settings.runs.iterdir() if not one.name.startswith(".")] == [run.id]
    assert "steps of 8 pairs" in handler(settings, "foresee")(found, "ben", *chosen())


def test_the_sample_read_at_first_cannot_take_the_place_of_chats_chosen_meanwhile(settings):
    reads = [one for one in build(settings).fns.values() if one.name == "take" and len(one.targets) > 1]
    assert [one.trigger_mode for one in reads] == ["always_last"], "one listener: what is asked last comes last"
    assert {event for _, event in reads[0].targets} == {"load", "change", "submit"}


def test_start_pressed_twice_begins_one_run_and_pressed_later_another(settings, chats, monkeypatch):
    busy = create(settings.runs, PLAN, chats, "first", "ben")
    busy.note_process(TRAIN, os.getpid())
    busy.write_state(State(RUNNING))
    begin, found = handler(settings, "begin"), upload_panel.Chats(chats)
    first, second = (begin(found, "ada", *chosen(), name)[0] for name in ("mine", ""))
    other, _ = begin(found, "ada", *chosen(method="lora"), "")
    assert first == second != other and [run.id for run in line.order(settings.runs)] == [first, other]
    full = replace(settings, quota=Quota(in_line=2))
    assert handler(full, "begin")(found, "ada", *chosen(method="lora"), "")[0] == other, (
        "the first press filled the line"
    )
    monkeypatch.setattr(tune_tab, "AGAIN", 0.0)
    assert begin(found, "ada", *chosen(method="lora"), "")[0] not in (first, other)


def test_a_run_refused_for_a_missing_tracker_leaves_nothing_behind(settings, chats):
    with pytest.raises(gr.Error, match="no tracker nobody"):
        handler(replace(settings, trackers=("nobody",)), "begin")(upload_panel.Chats(chats), "ada", *chosen(), "first")
    assert not list(settings.runs.rglob("record.json"))


def test_the_plan_shows_a_timed_time_once_steps_were_timed_and_not_while_a_run_trains(settings, chats, tiny_model):
    own = Dataset("own", {**chats.splits, "test": chats.splits["test"][:5]})  # that nothing has been timed on yet
    found, key, tiny = upload_panel.Chats(own), "ada", chosen(model=str(tiny_model), precision="fp32")
    foresee, time_steps = handler(settings, "foresee"), handler(settings, "time_steps")
    busy = create(settings.runs, PLAN, chats, "first", "ben")
    busy.note_process(TRAIN, os.getpid())
    busy.write_state(State(RUNNING))
    time_steps(True, found, key, *tiny)
    assert "by an estimate from its size" in foresee(found, key, *tiny)
    busy.write_state(State(FINISHED))
    time_steps(False, found, key, *tiny)  # for whoever has not opened the tab
    assert "by an estimate from its size" in foresee(found, key, *tiny)
    time_steps(True, found, key, *tiny)
    assert "by a few steps timed on these chats" in foresee(found, key, *tiny)
    time_steps(True, None, key, *tiny)
    time_steps(True, found, key, *chosen(model="/nowhere"))  # what cannot be is said by the plan alone


def test_a_run_is_not_resumed_into_a_line_that_is_full_of_its_owners_runs(settings, chats):
    stopped, waiting = (create(settings.runs, PLAN, chats, "run", "ada") for _ in range(2))
    stopped.write_state(State(CANCELLED))
    with line.locked(settings.runs):
        line.join(waiting, None)
    act = [
        one.fn
        for one in build(replace(settings, quota=Quota(in_line=1))).fns.values()
        if one.fn and "partial" in type(one.fn).__name__
    ]
    with pytest.raises(gr.Error, match="1 of your runs are in line"):
        next(fn for fn in act if fn.args == ("resume",))(stopped.id, "ada")
    assert stopped.progress().state == CANCELLED


def test_a_quota_that_is_no_number_is_told_by_its_name():
    environment = {**os.environ, "TUNEPROOF_RUNS_KEPT": "many"}
    done = subprocess.run(
        [sys.executable, "-c", "import app"], cwd=ASSETS.parent, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1 and "TUNEPROOF_RUNS_KEPT is 'many'. Write a whole number" in done.stderr
