"""What a publisher and a stakeholder can rely on: links open, reveal only what was chosen, and can be taken back."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from urllib.parse import urljoin

import jsonschema
import pytest
from huggingface_hub import ModelCard
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from sharing.snapshot import REVEAL, SCHEMA, LinkRefused, Snapshots
from ui.routes import middleware, routes
from ui.settings import Settings

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def snapshots(tmp_path):
    return Snapshots(tmp_path / "published")


@pytest.fixture
def client(tmp_path):
    settings = Settings(tmp_path, ROOT / "assets")
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
    assert client.get("/?compare=//evil.example/x", follow_redirects=False).headers["location"] == "./c/evil.examplex"


def test_a_link_that_leads_nowhere_gets_a_sentence_and_nothing_else(client):
    answer = client.get("/c/" + "0" * 31)
    assert answer.status_code == 404
    assert "copied whole" in answer.text and "Traceback" not in answer.text


def test_only_the_files_a_page_needs_are_served(client):
    assert client.get("/proof/plotly.min.js").status_code == 200
    assert client.get("/proof/names.yaml").status_code == 404
    assert client.get("/proof/..%2fapp.py").status_code == 404


GOLDEN = sorted((Path(__file__).parent / "golden").glob("snapshot-*.json"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_page_published_by_any_version_opens_for_ever(client, tmp_path, path):
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / f"{'5' * 32}.json").write_bytes(path.read_bytes())
    answer = client.get(f"/c/{'5' * 32}")
    assert answer.status_code == 200
    assert escape(json.loads(path.read_text())["comparison"]["verdict"]) in answer.text
    for name in ("report.html", "comparison.json", "model-card.md", "card.png"):
        assert client.get(f"/c/{'5' * 32}/{name}").status_code == 200


def test_a_golden_page_of_every_schema_and_of_every_reveal_is_kept():
    assert {path.stem for path in GOLDEN} == {f"snapshot-{v}-{r}" for v in range(1, SCHEMA + 1) for r in REVEAL}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_documented_schema_describes_what_a_reader_downloads(client, tmp_path, path):
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / f"{'5' * 32}.json").write_bytes(path.read_bytes())
    schema = json.loads((ROOT / "docs" / "snapshot-schema.md").read_text().split("```json\n")[1].split("```")[0])
    jsonschema.validate(client.get(f"/c/{'5' * 32}/comparison.json").json(), schema)


def test_a_later_schema_than_ours_and_a_torn_file_answer_like_an_unknown_link(snapshots, comparison):
    later, torn, listed = (snapshots.publish(comparison, "numbers", "ann") for _ in range(3))
    path = snapshots.folder / f"{later}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    (snapshots.folder / f"{torn}.json").write_text('{"schema": 1')
    (snapshots.folder / f"{listed}.json").write_text("[]")
    assert {refusal(snapshots, asked) for asked in (later, torn, listed)} == {refusal(snapshots, "0" * 32)}


def test_unknown_revoked_and_expired_pages_are_the_same_page_byte_for_byte(client, comparison, tmp_path):
    shop = Snapshots(tmp_path / "published")
    revoked, expired = shop.publish(comparison, "chats", "ann"), shop.publish(comparison, "chats", "ann", 1)
    shop.revoke(revoked, "ann")
    path = shop.folder / f"{expired}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "expires": "2020-01-01T00:00:00+00:00"}))
    for suffix in ("", "/report.html", "/scores.csv", "/comparison.json", "/card.png", "/nothing.txt"):
        answers = [client.get(f"/c/{asked}{suffix}") for asked in (revoked, expired, "f" * 32, "x", "..%5c..")]
        assert len({(one.status_code, one.text, str(sorted(one.headers.items()))) for one in answers}) == 1
        assert answers[0].status_code == 404


def test_published_pages_cannot_be_listed(client):
    assert client.get("/c/").status_code == 404 and client.get("/c").status_code == 404


def test_a_reader_who_asks_too_often_is_told_to_wait(client):
    statuses = [client.get("/c/" + "0" * 32).status_code for _ in range(121)]
    assert statuses[:120] == [404] * 120 and statuses[120] == 429
    answer = client.get("/n/1.x")
    assert answer.status_code == 429 and answer.headers["retry-after"] == "60" and "Wait a minute" in answer.text


def test_every_page_and_file_forbids_listing_framing_by_strangers_and_foreign_script(client, comparison, tmp_path):
    snapshot_id = Snapshots(tmp_path / "published").publish(comparison, "chats", "ann")
    for suffix in ("", "/report.html", "/scores.csv", "/comparison.json", "/model-card.md", "/card.png"):
        headers = client.get(f"/c/{snapshot_id}{suffix}").headers
        assert headers["x-robots-tag"] == "noindex" and headers["cache-control"] == "private, no-store"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy and "frame-ancestors 'self'" in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"


def test_a_page_is_light_and_its_curves_are_there_without_any_script(client, comparison, tmp_path):
    page = client.get(f"/c/{Snapshots(tmp_path / 'published').publish(comparison, 'chats', 'ann')}").text
    assets = sum(len(client.get(f"/proof/{name}").content) for name in ("proofsheet.css", "page.css", "page.js"))
    assert len(page.encode()) + assets < 500_000
    assert page.count("<svg") == 2 and "ROUGE-L</text>" in page


def test_the_downloaded_report_holds_every_example_and_asks_for_nothing(client, comparison, tmp_path):
    snapshot_id = Snapshots(tmp_path / "published").publish(comparison, "chats", "ann")
    answer = client.get(f"/c/{snapshot_id}/report.html")
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.text.count('class="sheet"') == len(comparison.rows)
    assert not re.search(r"<script|<link|src=|url\(|https?://", answer.text)


def test_scores_by_chat_are_downloaded_as_they_were_measured(client, comparison, tmp_path):
    snapshot_id = Snapshots(tmp_path / "published").publish(comparison, "summaries", "ann")
    lines = list(csv.DictReader(io.StringIO(client.get(f"/c/{snapshot_id}/scores.csv").text.removeprefix("\ufeff"))))
    assert len(lines) == 2 * len(comparison.rows)
    assert float(lines[1]["rougeL"]) == comparison.rows[0].outputs[200].scores["rougeL"]


def test_the_model_card_snippet_is_metadata_that_the_hub_reads(client, comparison, tmp_path):
    snapshot_id = Snapshots(tmp_path / "published").publish(comparison, "numbers", "ann")
    card = ModelCard(client.get(f"/c/{snapshot_id}/model-card.md").text)
    found = {one.metric_name: one.metric_value for one in card.data.eval_results}
    assert found["rougeL"] == round(comparison.checkpoint(200).means["rougeL"].mean, 2)


def test_the_preview_picture_is_a_small_png_of_the_usual_size(client, comparison, tmp_path):
    snapshot_id = Snapshots(tmp_path / "published").publish(comparison, "numbers", "ann")
    assert f'content="http://testserver/c/{snapshot_id}/card.png"' in client.get(f"/c/{snapshot_id}").text
    picture = client.get(f"/c/{snapshot_id}/card.png").content
    assert Image.open(io.BytesIO(picture)).size == (1200, 630) and len(picture) < 100_000


def test_under_a_prefix_every_address_on_a_page_stays_under_it(comparison, tmp_path):
    settings = Settings(tmp_path, ROOT / "assets")
    inner = Starlette(routes=routes(settings), middleware=middleware())
    client = TestClient(Starlette(routes=[Mount("/team/proof", inner)]))
    snapshot_id = Snapshots(tmp_path / "published").publish(comparison, "chats", "ann")
    for asked in (f"/team/proof/?compare={snapshot_id}", f"/team/proof/c/{snapshot_id}"):
        answer = client.get(asked)
        assert answer.status_code == 200 and answer.url.path == f"/team/proof/c/{snapshot_id}"
    for address in re.findall(r'(?:href|src)="([^"#?]+)', answer.text):
        assert not address.startswith("/")
        assert client.get(urljoin(str(answer.url), address)).status_code == 200
