"""Blind preference: two summaries of a chat without their names, a key for the better one, and the result on asking."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from dialogues.dialogue import Problem, Refused
from evaluation.comparison import Comparison, Row
from evaluation.findings import RUN, label, number
from evaluation.preference import Cards, Judgement, Preference, keep, kept, pair_mark, standing, tally
from sharing.sheet import tag, turns_html
from tuning.runs import Run, open_run, owner_digest
from ui.look import EACH, QUIET, proof, sheet_box
from ui.refusals import as_messages
from ui.settings import RECORDED, Settings

MOST_NAME = 60  # characters of a rater's name
HOW = "Type your name and press Begin. Then 1: A is better, 2: no difference, 3: B is better; Begin again goes on where you stopped."
INTRO = tag("p", HOW, class_="quiet")
DONE = "You have judged every chat on which the two differ. Thank you."
# The cards answer to 1, 2, 3 and to the arrows; the next pair takes the same place, so the hand stays where it is.
KEYS_JS = """
element.tabIndex = 0;
const cards = { 1: 'A', 2: 'tie', 3: 'B', ArrowLeft: 'A', ArrowDown: 'tie', ArrowRight: 'B' };
const choose = (card) => {
  const pair = element.querySelector('[data-chat]');
  if (!pair || !card) return false;
  trigger('select', { chat: pair.dataset.chat, hand: pair.dataset.hand, card });
  pair.querySelector(`[data-card=${card}]`).classList.add('chosen');
  delete pair.dataset.chat;  // judged once: a second key waits for the next pair
  return true;
};
element.addEventListener('keydown', (event) => { if (choose(cards[event.key])) event.preventDefault(); });
element.addEventListener('click', (event) => choose(event.target.closest('[data-card]')?.dataset.card));
watch('value', () => { if (element.querySelector('[data-chat]')) element.focus({ preventScroll: true }); });
"""


def build(settings: Settings, owner: gr.BrowserState, run: gr.Dropdown, step: gr.Dropdown, find: Any) -> None:
    """Lay the panel out and wire it; `find` gives the comparison of the runs it is given."""
    with gr.Accordion("Blind preference: which of two is better?", open=False, elem_id="blind"):
        with gr.Row(equal_height=True):
            rater = gr.Textbox(
                label="Your name, as the result shows it", max_length=MOST_NAME, scale=3, elem_id="rater"
            )
            begin = gr.Button("Begin", scale=1, min_width=120, elem_id="begin", elem_classes="beside")
            ask = gr.Button("Show the result so far", scale=1, min_width=120, elem_id="result", elem_classes="beside")
        cards = sheet_box(INTRO, js_on_load=KEYS_JS, elem_id="cards")
        result = sheet_box(elem_id="preference")

    def deal(run_ids: list[str], at: int | None, name: str, key: str) -> str:
        with as_messages("Not begun"):
            comparison, step, store = asked_of(run_ids, at, key)
            return proof(_next(comparison, _cards(comparison, step, name), kept(store.preferences)))

    def judge(run_ids: list[str], at: int | None, name: str, key: str, event: gr.EventData) -> str:
        with as_messages("Not kept"):
            comparison, step, store = asked_of(run_ids, at, key)
            hand, chat = _cards(comparison, step, name), str(event._data["chat"])
            # The pair on the table and no other: not one dealt to another name or of older summaries, nor the same one twice.
            if chat == hand.following(kept(store.preferences)) and event._data["hand"] == hand.mark(chat):
                keep(store.preferences, hand.judged(chat, str(event._data["card"])))
            return proof(_next(comparison, hand, kept(store.preferences)))

    def told(run_ids: list[str], at: int | None, key: str) -> str:
        with as_messages("No result"):
            comparison, step, store = asked_of(run_ids, at, key)
            return proof(result_html(tally(standing(kept(store.preferences), step, _pairs(comparison, step))), step))

    def asked_of(run_ids: list[str], at: int | None, key: str) -> tuple[Comparison, int, Run]:
        """Of several runs the one whose checkpoint is looked at: it is judged, and kept, as it is alone."""
        number, step = divmod(at or 0, RUN)
        own = run_ids[number - 1 : number] or run_ids[:1]
        comparison = find(own)
        return comparison, comparison.chosen if at is None else step, _store(settings, own[0], key)

    def cleared() -> tuple[str, str]:
        return proof(INTRO), ""

    gr.on([run.input, step.input], cleared, None, [cards, result], **QUIET)
    begin.click(deal, [run, step, rater, owner], cards, **QUIET)
    rater.submit(deal, [run, step, rater, owner], cards, **QUIET)
    cards.select(judge, [run, step, rater, owner], cards, **EACH)
    ask.click(told, [run, step, owner], result, **QUIET)


def _cards(comparison: Comparison, step: int, name: str) -> Cards:
    """The rater's cards: every chat on which the two summaries differ. Raises Refused without a name or a checkpoint."""
    name = " ".join((name or "").split())[:MOST_NAME]
    if not name:
        raise Refused(Problem("A judgement needs a name.", "Type yours.", field="name"))
    if not step:
        raise Refused(
            Problem("Zero-shot cannot be held against itself.", "Choose another checkpoint.", field="checkpoint")
        )
    return Cards(name, step, _pairs(comparison, step))


def _pairs(comparison: Comparison, step: int) -> dict[str, str]:
    """The mark of the two summaries of every chat on which they differ."""
    rows = [row for row in comparison.rows if "different" in row.tags(step)]
    return {row.example_id: pair_mark(row.outputs[0].summary, row.outputs[step].summary) for row in rows}


def _store(settings: Settings, run_id: str | None, key: str) -> Run:
    """Where judgements are kept: with the run; those on the recorded comparison with nobody but whoever made them."""
    if run_id == RECORDED:
        if not key:
            raise Refused(Problem("Your browser keeps no key.", "Allow this page to store data.", field="key"))
        return Run(settings.home / "recorded" / owner_digest(key))
    return open_run(settings.runs, run_id or "")


def _next(comparison: Comparison, hand: Cards, judged: list[Judgement]) -> str:
    chat = hand.following(judged)
    if chat is None:
        return tag("p", DONE, class_="notice")
    row = next(row for row in comparison.rows if row.example_id == chat)
    place = (
        f"{escape(hand.rater)}: pair {len(hand.done(judged)) + 1} of {len(hand.pairs)}; 1, 2, 3 or a click on a card"
    )
    return tag("p", place, class_="quiet") + _pair(row, hand)


def _pair(row: Row, hand: Cards) -> str:
    texts = [row.outputs[hand.step].summary, row.outputs[0].summary]
    first, second = texts if hand.tuned_first(row.example_id) else texts[::-1]
    buttons = _card("A", "1", first) + _card("B", "3", second)
    tie = tag("button", "No difference <kbd>2</kbd>", type="button", data_card="tie", class_="tie")
    body = turns_html(row.turns) + tag("div", buttons, class_="cards") + tie
    return tag("article", body, class_="sheet", data_chat=row.example_id, data_hand=hand.mark(row.example_id))


def _card(name: str, key: str, text: str) -> str:
    heading = tag("b", f"{name} <kbd>{key}</kbd>")
    return tag("button", heading + tag("span", escape(text) or "(nothing was written)"), type="button", data_card=name)


def result_html(result: Preference, step: int) -> str:
    """The result in words, with its interval and how far raters agree."""
    rate = result.rate
    if rate.mean is None:
        return tag("p", f"Nobody has judged {label(step)} yet.", class_="notice")
    spread = (
        f"95 % CI {number(rate.low)} to {number(rate.high)}, " if rate.low is not None and rate.high is not None else ""
    )
    said = f"{label(step).capitalize()} is preferred to zero-shot in {number(rate.mean)} % ({spread}n = {rate.n} chats; a tie counts half): "
    said += f"{result.wins} wins, {result.ties} ties, {result.losses} losses by {', '.join(result.raters)}. "
    agreed = "Krippendorff’s α needs a chat that two raters have judged, and not all alike."
    said += agreed if result.alpha is None else f"Agreement: Krippendorff’s α = {number(result.alpha, 2)}."
    return tag("p", escape(said), class_="notice")
