"""Text from strangers stays text: a corpus of hostile strings in every field, on every page and in every file."""

import csv
import io
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from evaluation.comparison import Comparison
from sharing.download import csv_file, html_file, model_card
from sharing.link import ReadLink
from sharing.page import numbers_page, published_page
from sharing.snapshot import Published
from ui.routes import middleware, routes
from ui.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PAYLOADS = (ROOT / "tests" / "hostile_texts.txt").read_text(encoding="utf-8").splitlines()


def poisoned(value, payload):
    """The same plain values with the payload at both ends of every text in them."""
    if isinstance(value, dict):
        return {key: poisoned(one, payload) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [poisoned(one, payload) for one in value]
    return f"{payload}{value}{payload}" if isinstance(value, str) else value


def poisoned_comparison(comparison, payload):
    return Comparison.from_json(poisoned(comparison.to_json(), payload))


class Skeleton(HTMLParser):
    """What a browser would build: elements with the names of their attributes, and nothing of the text."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, tuple(name for name, _ in attributes)))
        for name, value in attributes:
            assert not name.startswith("on")
            assert name not in ("href", "src", "action") or not (value or "").lower().startswith("javascript:")

    def handle_endtag(self, tag):
        self.found.append(("/", tag))

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")


def pages(comparison):
    """Every document that shows a comparison to strangers."""
    published = Published(comparison, "chats", "2026-01-01", None, {}, "")
    step = comparison.chosen
    yield published_page(published, "0" * 32, {"row": "1"}, "https://example.org")
    yield published_page(published, "0" * 32, {"step": "0", "show": "improved", "sort": "loss"})
    yield numbers_page(ReadLink(comparison.numbers_only(), False), {})
    yield html_file(published, step, "p{}")


@pytest.fixture(scope="module")
def harmless(comparison):
    return [Skeleton(page).found for page in pages(poisoned_comparison(comparison, "x"))]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_text_in_any_field_changes_no_element_and_no_attribute_of_any_page(comparison, harmless, payload):
    found = [Skeleton(page).found for page in pages(poisoned_comparison(comparison, payload))]
    assert found == harmless


def test_the_corpus_holds_at_least_a_hundred_different_texts():
    assert len(set(PAYLOADS)) == len(PAYLOADS) >= 100


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_the_table_is_a_formula_to_a_spreadsheet(comparison, start):
    hostile = poisoned_comparison(comparison, start + "HYPERLINK(1)")
    for line in csv.DictReader(io.StringIO(csv_file(hostile).removeprefix("\ufeff"))):
        assert all(not line[name].startswith(start) for name in ("chat", "topic", "summary"))


@pytest.mark.parametrize("payload", [one for one in PAYLOADS if "<" in one])
def test_the_model_card_holds_hostile_text_only_as_text(comparison, payload):
    body = model_card(poisoned_comparison(comparison, payload), comparison.chosen).split("\n---\n")[1]
    assert payload not in body


@pytest.mark.parametrize(
    "asked", ["<script>alert(1)</script>", "../../etc/passwd", "%2e%2e%2fsigning.key", "\x00", "a" * 9000]
)
def test_a_hostile_address_gets_the_usual_sentence_and_never_its_own_text_back(tmp_path, asked):
    client = TestClient(Starlette(routes=routes(Settings(tmp_path, ROOT / "assets")), middleware=middleware()))
    for page in ("c", "n"):
        answer = client.get(f"/{page}/{quote(asked, safe='')}")
        assert answer.status_code == 404
        assert asked not in answer.text
