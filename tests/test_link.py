"""What a numbers link promises: it needs no storage, says who vouches for it, and no forged one does any harm."""

import base64
import json
import stat
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from evaluation.comparison import Comparison
from sharing.link import LONGEST, MOST_TEXT, numbers_token, read_token, signing_key
from sharing.snapshot import LinkRefused
from ui.routes import middleware, routes
from ui.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
KEY = "a key that only tests use"


def forged(value):
    """An unsigned link of today's version around any JSON text or value."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return "1." + base64.urlsafe_b64encode(zlib.compress(text, 9)).decode().rstrip("=") + ".x"


def payload(token):
    text = token.split(".")[1]
    return json.loads(zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))


def refusal(token):
    with pytest.raises(LinkRefused) as refused:
        read_token(token, KEY)
    return str(refused.value)


def test_a_link_carries_title_verdict_badges_signature_and_every_figure_to_a_hundredth(comparison):
    read = read_token(numbers_token(comparison, KEY), KEY)
    found = read.comparison
    assert read.issued_here and found.rows == ()
    for name in ("title", "verdict", "badges", "signature", "best", "chosen"):
        assert getattr(found, name) == getattr(comparison, name)
    for before, after in zip(comparison.checkpoints, found.checkpoints, strict=True):
        for kind in ("means", "change"):
            for name, interval in getattr(after, kind).items():
                wanted = getattr(before, kind)[name]
                assert interval.mean == pytest.approx(wanted.mean, abs=0.005) and interval.n == wanted.n
                assert (interval.above_zero, interval.below_zero) == (wanted.above_zero, wanted.below_zero)
                assert interval.p == (wanted.p and pytest.approx(wanted.p, abs=1e-4))
    assert found.human == pytest.approx({n: v for n, v in comparison.human.items() if n in found.human}, abs=0.005)


def test_no_word_of_a_chat_a_summary_or_an_id_is_in_a_link(comparison):
    text = json.dumps(payload(numbers_token(comparison, KEY)))
    for row in comparison.rows:
        for word in (row.example_id, row.turns[0].text, row.references[0], row.outputs[200].summary):
            assert word not in text


def test_twenty_checkpoints_fit_into_an_address():
    recorded = Comparison.from_json(json.loads((ROOT / "assets" / "recorded" / "comparison.json").read_text()))
    first, *later = recorded.checkpoints
    many = [replace(later[at % len(later)], step=100 * (at + 1)) for at in range(19)]
    token = numbers_token(replace(recorded, checkpoints=(first, *many), best=None, chosen=100), KEY)
    assert len(token) < LONGEST / 2 and len(read_token(token, KEY).comparison.checkpoints) == 20


def test_figures_too_many_for_an_address_are_refused_with_the_way_out(comparison):
    with pytest.raises(LinkRefused, match="Publish a page"):
        numbers_token(replace(comparison, title="".join(chr(0x4E00 + 7 * at % 20_000) for at in range(9_000))), KEY)


def test_what_another_app_signed_or_somebody_altered_opens_as_unsigned(comparison):
    token = numbers_token(comparison, KEY)
    assert not read_token(token, "another key").issued_here
    body = payload(token)
    assert not read_token(forged([*body[:1], "It is far better now.", *body[2:]]), KEY).issued_here
    assert not read_token(token[:-4], KEY).issued_here


def test_a_link_cut_anywhere_is_read_as_unsigned_or_gets_a_sentence(comparison):
    token = numbers_token(comparison, KEY)
    for length in range(0, len(token), 7):
        try:
            assert not read_token(token[:length], KEY).issued_here
        except LinkRefused as refused:
            assert "copied whole" in str(refused)


def test_a_link_that_unpacks_to_far_more_than_it_says_is_not_unpacked():
    bomb = forged(b"[" + b" " * (MOST_TEXT * 50) + b"]")
    assert len(bomb) < 20_000
    assert "copied whole" in refusal(bomb)
    assert "copied whole" in refusal("1." + "A" * 1_000_000)


def test_a_link_of_a_later_version_says_that_it_is_one():
    assert "later version" in refusal("2.abc.def")


@pytest.mark.parametrize("text", ["[" * 50_000, "NaN", "[1e999]", "9" * 5_000, "{}", "null", '"x"', "[]", "\ud800"])
def test_json_that_is_no_comparison_gets_a_sentence(text):
    assert "copied whole" in refusal(forged(text.encode("utf-8", "surrogatepass")))


@pytest.mark.parametrize("token", ["", ".", "1", "1.", "1..", "1.!!.x", "0.a.b", "-1.a.b", "²", "1.é.x", "\x00"])
def test_what_is_no_link_at_all_gets_a_sentence(token):
    assert "copied whole" in refusal(token)


def spoil(body, *path, value):
    at = body
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return body


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((0,), 7),
        ((1,), "x" * 5_000),
        ((2,), "text"),
        ((3,), 77),
        ((4,), 77),
        ((5, 3), "many"),
        ((5,), []),
        ((6, 2), "rougeX"),
        ((7, 0), [7]),
        ((8, 0, 0), "high"),
        ((9, 0, 0), 5),
        ((9, 1, 0), -1),
        ((9, 1, 2, 0, 0), 10**12),
        ((9, 1, 2, 0, 0), True),
        ((9, 1, 2, 0, 3), 99),
        ((9, 1, 3), [[1, 1, 1, 0]]),
        ((9,), []),
    ],
)
def test_a_forged_link_with_any_part_out_of_order_gets_a_sentence(comparison, path, value):
    assert "copied whole" in refusal(forged(spoil(payload(numbers_token(comparison, KEY)), *path, value=value)))


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    key = signing_key(tmp_path / "home")
    assert len(key) == 64 and signing_key(tmp_path / "home") == key
    assert stat.S_IMODE((tmp_path / "home" / "signing.key").stat().st_mode) == 0o600
    assert Settings(tmp_path / "home", ROOT / "assets").signing_key == key
    assert Settings(tmp_path / "home", ROOT / "assets", key="given").signing_key == "given"


def test_the_page_says_whether_its_figures_were_issued_here(comparison, tmp_path):
    client = TestClient(Starlette(routes=routes(Settings(tmp_path, ROOT / "assets", key=KEY)), middleware=middleware()))
    token = numbers_token(comparison, KEY)
    page = client.get(f"/?numbers={token}")
    assert page.url.path == f"/n/{token}" and "Issued here" in page.text and "Unsigned" not in page.text
    assert client.get(f"/n/{token}?step=0").status_code == 200
    assert "Unsigned" in client.get(f"/n/{numbers_token(comparison, 'another')}").text
    assert client.get("/n/7.a.b").status_code == 404


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "golden").glob("link-*.txt")), ids=lambda path: path.stem)
def test_a_link_issued_by_any_version_opens_for_ever(path):
    read = read_token(path.read_text().strip(), KEY)
    assert read.issued_here and read.comparison.verdict.startswith("Checkpoint 200 beats zero-shot by")
