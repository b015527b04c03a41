"""What a link will show, before it exists: the scrubbed preview, Publish and Revoke, and the link that holds figures only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from html import escape
from typing import Any

import gradio as gr

from evaluation.comparison import Comparison
from sharing.link import numbers_token
from sharing.page import SHOWS
from sharing.scrub import Found
from sharing.sheet import sheet_html, tag
from sharing.snapshot import prepare
from ui.look import LATEST, QUIET, proof, sheet_box
from ui.refusals import as_messages
from ui.settings import Settings

Links = list[list[str]]
EXPIRES = {"30 days": 30, "90 days": 90, "never": None}
LISTED = 50  # replaced things shown in the preview; all of them are replaced
# The app's own address with the link in its query, which is all that a Space's frame passes on.
LINK_JS = "(id) => id ? new URL(location.pathname, location.origin).toString() + '?compare=' + id : ''"
NUMBERS_JS = "(token) => token ? new URL(location.pathname, location.origin).toString() + '?numbers=' + token : ''"
LOOK = "Names of people and postal addresses are not found by rules: look before you publish."


@dataclass(frozen=True, slots=True)
class Fields:
    """What the panel asks for and shows, from top to bottom."""

    panel: gr.Accordion
    reveal: gr.Radio
    expires: gr.Radio
    preview: gr.HTML
    publish: gr.Button
    mine: gr.Dropdown
    link: gr.Textbox
    revoke: gr.Button
    figures: gr.Button
    numbers: gr.Textbox
    key: gr.Textbox


def build(
    settings: Settings,
    owner: gr.BrowserState,
    links: gr.BrowserState,
    run: gr.Dropdown,
    find: Callable[[Any], Comparison],
) -> gr.Dropdown:
    """Lay the panel out and wire it; `find` gives the comparison of the runs that `run` holds. Returns the list of own links.

    `links` is what this browser has published, [[words, id], …]: so that a link can still be revoked after a reload.
    """
    fields = _layout()

    def look(run_ids: list[str], shows: str) -> str:
        with as_messages("No preview"):
            return proof(preview_html(*prepare(find(run_ids), shows), shows))

    def token(run_ids: list[str]) -> str:
        with as_messages("No link"):
            return numbers_token(prepare(find(run_ids), "numbers")[0], settings.signing_key)

    # Also when the key comes late: a slow page can be unfolded before it is there.
    gr.on([fields.panel.expand, owner.change], lambda secret: secret, owner, fields.key, **LATEST)
    gr.on([fields.panel.expand, fields.reveal.change], look, [run, fields.reveal], fields.preview, **LATEST)
    fields.figures.click(token, run, fields.numbers, **QUIET).then(
        None, fields.numbers, fields.numbers, js=NUMBERS_JS, **QUIET
    )
    _wire_links(settings, owner, links, run, find, fields)
    return fields.mine


def _layout() -> Fields:
    with gr.Accordion("Share this comparison", open=False, elem_id="share") as panel:
        with gr.Row():
            choices = [(words.capitalize(), key) for key, words in SHOWS.items()]
            reveal = gr.Radio(choices, value="summaries", label="The link shows", elem_id="reveal")
            expires = gr.Radio(list(EXPIRES), value="90 days", label="It works for")
        preview = sheet_box(elem_id="preview")
        publish = gr.Button("Publish", variant="primary", elem_id="publish")
        mine = gr.Dropdown([], label="Published from this browser", elem_id="my-links")
        link = _copied("Link: opens read-only, without an account", elem_id="link")
        revoke = gr.Button("Revoke this link", visible=False, elem_id="revoke")
        figures = gr.Button("Make a link that holds the figures itself", elem_id="make-numbers")
        numbers = _copied("Numbers link: signed, needs no storage, cannot be revoked", elem_id="numbers", max_lines=3)
        key = _copied("This browser’s key: the API and the command line ask for it", elem_id="key", type="password")
    return Fields(panel, reveal, expires, preview, publish, mine, link, revoke, figures, numbers, key)


def _copied(label: str, **settings: Any) -> gr.Textbox:
    """A field that is read and copied, never typed into."""
    return gr.Textbox(label=label, buttons=["copy"], interactive=False, **settings)


def _wire_links(
    settings: Settings,
    owner: gr.BrowserState,
    links: gr.BrowserState,
    run: gr.Dropdown,
    find: Callable[[Any], Comparison],
    fields: Fields,
) -> None:
    """Publish and Revoke, and the list of what this browser has published."""

    def share(run_ids: list[str], shows: str, lasts: str, secret: str, known: Links) -> tuple[Links, gr.Dropdown]:
        with as_messages("Not published"):
            comparison = find(run_ids)
            published = settings.snapshots.publish(comparison, shows, secret, EXPIRES[lasts])
        words = f"{comparison.title} · {SHOWS[shows].capitalize()} · {date.today().isoformat()}"
        known = [[words, published], *known]
        return known, gr.Dropdown(pairs(known), value=published)

    def take_back(snapshot_id: str, secret: str, known: Links) -> tuple[Links, gr.Dropdown]:
        with as_messages("Not revoked"):
            settings.snapshots.revoke(snapshot_id, secret)
        gr.Success("Nobody can open the link any more.", title="Revoked")
        known = [one for one in known if one[1] != snapshot_id]
        return known, gr.Dropdown(pairs(known), value=None)

    mine, kept = fields.mine, [links, fields.mine]
    fields.publish.click(share, [run, fields.reveal, fields.expires, owner, links], kept, **QUIET)
    fields.revoke.click(take_back, [mine, owner, links], kept, **QUIET)
    mine.change(None, mine, fields.link, js=LINK_JS, **QUIET)
    mine.change(lambda chosen: gr.Button(visible=bool(chosen)), mine, fields.revoke, **QUIET)


def pairs(links: Links) -> list[tuple[str, str]]:
    """What this browser has published, for a dropdown."""
    return [(words, snapshot_id) for words, snapshot_id in links]


def preview_html(comparison: Comparison, found: tuple[Found, ...], reveal: str) -> str:
    """What a link would show: what is replaced in it, and one chat as a reader meets it."""
    chat = next((row for row in comparison.rows if found and found[0].placeholder in str(row)), None)
    row = chat or (comparison.rows[0] if comparison.rows else None)
    shown = (
        sheet_html(row, comparison.chosen) if row else tag("p", "Figures and curves only: no chat, no summary, no id.")
    )
    heading = f"Preview: {SHOWS[reveal]}, {len(comparison.rows)} chats." if comparison.rows else "Preview."
    return tag("p", tag("b", heading)) + _replaced_html(found) + tag("p", LOOK, class_="quiet") + shown


def _replaced_html(found: tuple[Found, ...]) -> str:
    if not found:
        return tag("p", "No e-mail, telephone, card, account number or IP address was found in it.")
    lines = "".join(
        tag(
            "tr",
            tag("td", escape(one.text)) + tag("td", escape(one.placeholder)) + tag("td", str(one.count), class_="n"),
        )
        for one in found[:LISTED]
    )
    head = '<thead><tr><th>Only you see this</th><th>The reader sees</th><th class="n">Places</th></tr></thead>'
    more = tag("p", f"… and {len(found) - LISTED} more.", class_="quiet") if len(found) > LISTED else ""
    return tag("div", f"<table>{head}<tbody>{lines}</tbody></table>", class_="examples replaced") + more
