"""What a publisher and a stakeholder can rely on: links open, reveal only what was chosen, and can be taken back."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from conftest import compare_scripted
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dialogues.dialogue import Dataset, Dialogue, Example, Turn
from sharing.page import page_html
from sharing.snapshot import LinkRefused, Snapshots
from ui.routes import middleware, routes
from ui.settings import Settings

PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</textarea><svg/onload=alert(1)>",
    "{{7*7}}${7*7}",
]


@pytest.fixture
def snapshots(tmp_path):
    return Snapshots(tmp_path / "published")


@pytest.fixture
def client(tmp_path):
    from pathlib import Path

    settings = Settings(tmp_path, Path(__file__).resolve().parents[1] / "assets")
    return TestClient(Starlette(routes=routes(settings), middleware=middleware()))


def test_a_published_comparison_comes_back_as_it_was(snapshots, comparison):
    snapshot_id = snapshots.publish(comparison, "chats", "ann")
    assert re.fullmatch("[0-9a-f]{32}", snapshot_id)
    assert snapshots.fetch(snapshot_id) == comparison


def test_numbers_only_holds_no_word_of_any_chat_summary_or_reference(snapshots, comparison):
    snapshots.publish(comparison, "numbers", "ann")
    (stored,) = snapshots.folder.glob("*.json")
    for row in comparison.rows:
        for text in (*(turn.text for turn in row.turns), *row.references, row.outputs[200].summary):
            assert text not in stored.read_text()


def test_summaries_without_chats_hold_no_turn(snapshots, comparison):
    fetched = snapshots.fetch(snapshots.publish(comparison, "summaries", "ann"))
    assert fetched.rows[0].outputs[200].summary == comparison.rows[0].outputs[200].summary
    assert not any(row.turns for row in fetched.rows)


def refusal(snapshots, snapshot_id):
    with pytest.raises(LinkRefused) as refused:
        snapshots.fetch(snapshot_id)
    return str(refused.value)


def test_unknown_cut_altered_revoked_and_expired_links_all_answer_alike(snapshots, comparison):
    whole, expired, altered = (snapshots.publish(comparison, "numbers", "ann") for _ in range(3))
    path = snapshots.folder / f"{expired}.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "expires": (datetime.now(UTC) - timedelta(days=1)).isoformat()}))
    path = snapshots.folder / f"{altered}.json"
    path.write_text(path.read_text().replace("Forty chats", "Fifty chats"))
    cut, unknown, traversal = whole[:-1], "0" * 32, "../" + whole
    snapshots.revoke(whole, "ann")
    answers = {refusal(snapshots, asked) for asked in (whole, cut, unknown, traversal, expired, altered, "")}
    assert len(answers) == 1 and "copied whole" in answers.pop()


def test_only_the_publisher_can_revoke(snapshots, comparison):
    snapshot_id = snapshots.publish(comparison, "numbers", "ann")
    with pytest.raises(LinkRefused):
        snapshots.revoke(snapshot_id, "bob")
    assert snapshots.fetch(snapshot_id)


def test_the_page_opens_without_an_account_and_tells_verdict_numbers_examples_and_signature(
    client, comparison, tmp_path
):
    snapshot_id = Snapshots(tmp_path / "published").publish(comparison, "chats", "ann")
    answer = client.get(f"/c/{snapshot_id}")
    assert answer.status_code == 200
    for said in ("Checkpoint 200 beats zero-shot by", "ROUGE-L", "$999.99", "rouge_score-0.1.2", "Only 7 chats"):
        assert said in answer.text
    assert "'unsafe-eval'" not in answer.headers["content-security-policy"]
    assert answer.headers["x-robots-tag"] == "noindex"


def test_a_row_and_a_checkpoint_can_be_chosen_by_the_address_alone(client, comparison, tmp_path):
    snapshot_id = Snapshots(tmp_path / "published").publish(comparison, "chats", "ann")
    page = client.get(f"/c/{snapshot_id}?step=0&row=3&show=nonsense&sort=-1").text
    sheet = page[page.index('id="sheet"') :]
    assert comparison.rows[3].turns[0].text.replace("'", "&#x27;") in sheet
    assert "Tuned, step" not in sheet


@pytest.mark.parametrize("asked", ["9" * 4_400, "²", "-1", "1e3", ""])
def test_a_number_in_the_address_that_makes_no_sense_shows_the_usual_page(client, comparison, tmp_path, asked):
    snapshot_id = Snapshots(tmp_path / "published").publish(comparison, "chats", "ann")
    usual = client.get(f"/c/{snapshot_id}")
    assert client.get(f"/c/{snapshot_id}", params={"step": asked, "row": asked}).text == usual.text


def test_a_browser_keeps_no_copy_of_a_page_that_may_be_taken_back(client, comparison, tmp_path):
    snapshot_id = Snapshots(tmp_path / "published").publish(comparison, "chats", "ann")
    assert "no-store" in client.get(f"/c/{snapshot_id}").headers["cache-control"]


def test_nobody_publishes_in_nobody_s_name(snapshots, comparison):
    with pytest.raises(LinkRefused, match="Reload"):
        snapshots.publish(comparison, "numbers", "")


def test_the_query_address_that_a_space_forwards_leads_to_the_page(client, comparison, tmp_path):
    snapshot_id = Snapshots(tmp_path / "published").publish(comparison, "chats", "ann")
    assert client.get(f"/?compare={snapshot_id}").url.path == f"/c/{snapshot_id}"
    assert client.get("/?compare=//evil.example/x", follow_redirects=False).headers["location"].startswith("/c/")


def test_a_link_that_leads_nowhere_gets_a_sentence_and_nothing_else(client):
    answer = client.get("/c/" + "0" * 31)
    assert answer.status_code == 404
    assert "copied whole" in answer.text and "Traceback" not in answer.text


def test_only_the_files_a_page_needs_are_served(client):
    assert client.get("/proof/plotly.min.js").status_code == 200
    assert client.get("/proof/names.yaml").status_code == 404
    assert client.get("/proof/..%2fapp.py").status_code == 404


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_from_chats_models_and_names_is_never_markup_on_the_page(chats, payload):
    def poison(example):
        turns = tuple(Turn(payload, f"{turn.text} {payload}") for turn in example.dialogue.turns)
        return Example(
            Dialogue(payload + example.dialogue.id, turns), (payload, example.references[0]), payload, example.facts
        )

    splits = {split: tuple(map(poison, examples)) for split, examples in chats.splits.items()}
    comparison = compare_scripted(Dataset(payload, splits), payload)
    html = page_html(replace(comparison, verdict=payload, badges=(payload,)), {"row": "1", "step": payload})
    if "<" in payload:
        assert payload not in html
    assert "<script>alert" not in html and "<img" not in html and "<svg" not in html
