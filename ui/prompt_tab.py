"""The Prompt tab: a chat, a template, up to three models; each summary streams in and is marked against the chat."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape

import gradio as gr

from dialogues.dialogue import Dialogue, Problem, Refused, Turn
from dialogues.turns import read_turns
from dialogues.upload import MAX_CHARACTERS
from prompting.catalog import DEFAULT, TEMPLATES
from prompting.model import BUNDLED, HUB_MODELS, WINDOW, Decoding, count_tokens, load
from prompting.template import Template
from sharing.sheet import KEY, sheet_html, summary_html, tag, turns_html
from tuning.runs import list_runs, open_run
from ui.look import LATEST, proof, sheet_box
from ui.refusals import as_messages
from ui.settings import Settings

OWN = "write my own"
MOST_MODELS = 3
BASE_CHOICES = [("bundled (ships with TuneProof)", BUNDLED), *((name, name) for name in HUB_MODELS)]
FIRST_LOOK = (
    "Recorded with the model we ship, before and after tuning on our sample chats. "
    "Press Summarize to ask the untouched model now."
)


@dataclass(frozen=True, slots=True)
class Card:
    """One model's answer as far as it has come."""

    model: str
    prompt: str
    text: str = ""
    note: str = ""
    done: bool = False


class ChatRefused(Refused):
    """What stands in the chat box cannot be summarised."""


def build(settings: Settings) -> gr.Dropdown:
    """Lay the tab out and wire it; returns the model picker, whose choices grow with the owner's runs."""
    samples = {
        f"{example.topic} · {example.dialogue.id.rsplit('-', 1)[0].replace('_', ' ')}": example
        for example in settings.samples()
    }
    first = next(iter(samples))
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            sample = gr.Dropdown(list(samples), value=first, label="Sample chat")
            chat = gr.Textbox(
                samples[first].dialogue.text, label="Chat, one turn a line (Name: text)", lines=10, max_lines=22
            )
            template = gr.Dropdown([*TEMPLATES, OWN], value=DEFAULT.name, label="Template")
            pattern = gr.Textbox(
                DEFAULT.pattern, label="Your template; {dialogue} stands for the chat", lines=3, visible=False
            )
            models = gr.Dropdown(
                BASE_CHOICES, value=[BUNDLED], multiselect=True, max_choices=MOST_MODELS,
                allow_custom_value=True, label="Models (up to three)",
            )  # fmt: skip
            with gr.Accordion("Decoding", open=False):
                longest = gr.Slider(16, 200, Decoding().max_new_tokens, step=4, label="Longest summary, tokens")
                beams = gr.Slider(1, 6, 1, step=1, label="Beams (1 is greedy)")
            ask = gr.Button("Summarize", variant="primary", elem_id="summarize")
        with gr.Column(scale=3, min_width=320):
            sheet = sheet_box(_recorded_html(settings, samples[first].dialogue.id), elem_id="prompt-sheet")

    def pick(name: str) -> tuple[str, str]:
        dialogue = samples[name].dialogue
        return dialogue.text, proof(_recorded_html(settings, dialogue.id))

    def answer(text: str, named: str, own: str, chosen: list[str], most: int, width: int) -> Iterator[str]:
        with as_messages("Not summarised"):
            dialogue = _dialogue(text)
            asked = Template("own", own) if named == OWN else TEMPLATES[named]
            decoding = Decoding(max_new_tokens=int(most), beams=int(width))
            for cards in _answers(settings, dialogue, asked, decoding, chosen):
                yield proof(_cards_html(dialogue, cards))

    sample.input(pick, sample, [chat, sheet], **LATEST)
    template.input(
        lambda name: gr.Textbox(TEMPLATES.get(name, DEFAULT).pattern, visible=name == OWN),
        template, pattern, show_progress="hidden", queue=False, api_visibility="private",
    )  # fmt: skip
    ask.click(
        answer, [chat, template, pattern, models, longest, beams], sheet,
        show_progress="minimal", concurrency_id="model", concurrency_limit=1, api_visibility="private",
    )  # fmt: skip
    return models


def model_choices(settings: Settings, owner: str) -> list[tuple[str, str]]:
    """What the picker offers: the bundled model, FLAN-T5 by name, and the owner's own checkpoints."""
    own = [
        (f"{run.record.name} · {checkpoint.label}", f"{run.id}/{checkpoint.step}")
        for run in list_runs(settings.runs, owner)
        for checkpoint in run.checkpoints()
        if checkpoint.step
    ]
    return [*BASE_CHOICES[:1], *own, *BASE_CHOICES[1:]]


def _recorded_html(settings: Settings, chat_id: str) -> str:
    """The recorded pair for one of our chats, so that a visitor sees the point before anything is loaded."""
    recorded = settings.recorded()
    row = next((row for row in recorded.rows if row.example_id == chat_id), None) if recorded else None
    if recorded is None or row is None:
        return tag("p", "The summary will stand here, with marks for what the chat does not support.", class_="notice")
    return tag("p", FIRST_LOOK, class_="quiet") + sheet_html(row, recorded.chosen, missing=False)


def _dialogue(text: str) -> Dialogue:
    turns: tuple[Turn, ...] = read_turns(text)
    if not turns:
        raise ChatRefused(
            Problem("There is no chat in the box.", "Paste one, a turn a line, or choose a sample.", field="chat")
        )
    if len(text) > MAX_CHARACTERS:
        reason = f"The chat is {len(text):,} characters long; at most {MAX_CHARACTERS:,} are read."
        raise ChatRefused(Problem(reason, "Paste the part that matters.", field="chat"))
    return Dialogue("pasted", turns)


def _source(settings: Settings, model: str) -> tuple[str, str]:
    """The picker's value → what to load and what to call it. A run's checkpoint is named by the run's secret id."""
    run_id, _, step = model.partition("/")
    if len(run_id) == 32 and step.isdecimal():
        run = open_run(settings.runs, run_id)
        return run.checkpoint_source(int(step)), f"{run.record.name}, checkpoint {step}"
    return settings.permitted(model), model


def _answers(
    settings: Settings, dialogue: Dialogue, template: Template, decoding: Decoding, models: Sequence[str]
) -> Iterator[list[Card]]:
    """The cards of all models so far, each time any of them has grown. One that cannot be had says so in its own card."""
    if not models:
        raise ChatRefused(Problem("No model is chosen.", "Choose one to three under Models.", field="models"))
    prompt, cards = template.render(dialogue), []
    for model in models[:MOST_MODELS]:
        cards.append(Card(model, prompt))
        try:
            for card in _growing(settings, cards[-1], decoding):
                cards[-1] = card
                yield cards
        except Refused as refusal:
            cards[-1] = replace(cards[-1], note=str(refusal))
            yield cards


def _growing(settings: Settings, card: Card, decoding: Decoding) -> Iterator[Card]:
    """One model's card from loading to done."""
    source, name = _source(settings, card.model)
    card = replace(card, model=name, note="loading…")
    yield card
    summarizer, started = load(source, settings.base_model), time.monotonic()
    for text in summarizer.stream(card.prompt, decoding):
        card = replace(card, text=text, note="writing…")
        yield card
    note = _note(settings, source, card.prompt, card.text, time.monotonic() - started)
    yield replace(card, note=note, done=True)


def _note(settings: Settings, source: str, prompt: str, text: str, seconds: float) -> str:
    """Tokens read and written, seconds, and whether the chat's end was cut off."""
    tokens_in, tokens_out = count_tokens(source, [prompt, text], settings.base_model)
    cut = f" · chat cut: only {WINDOW} tokens were read" if tokens_in > WINDOW else ""
    return f"{tokens_in} tokens in, {tokens_out} out · {seconds:.1f} s{cut}"


def _cards_html(dialogue: Dialogue, cards: Sequence[Card]) -> str:
    header = tag("header", tag("h3", "Chat") + KEY)
    body = "".join(_card_html(dialogue, card) for card in cards)
    return tag("article", header + turns_html(dialogue.turns) + tag("div", body, class_="pair"), class_="sheet")


def _card_html(dialogue: Dialogue, card: Card) -> str:
    from evaluation.grounding import check

    verdicts = check(card.text, dialogue) if card.done else ()
    flags = sum(verdict.unsupported for verdict in verdicts)
    note = f"{card.note} · {flags} flag{'s' if flags != 1 else ''}" if card.done else card.note
    prompt = tag(
        "details", tag("summary", "The exact prompt", class_="quiet") + tag("pre", escape(card.prompt), class_="log")
    )
    heading = tag("h4", escape(card.model) + tag("span", escape(note)))
    text = summary_html(card.text, verdicts) if card.text or card.done else ""
    return tag("div", heading + text + (prompt if card.done else ""))
