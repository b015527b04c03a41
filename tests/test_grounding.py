"""Grounding: what a user can rely on when a stretch of a summary is marked, or left unmarked."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialogues.dialogue import Dataset, Dialogue, Turn
from evaluation import mentions
from evaluation.grounding import check, unsupported
from evaluation.mentions import spot
from evaluation.report import ABSENT, CONTRADICTED, SUPPORTED, Verdict

CHAT = Dialogue(
    "bill",
    (
        Turn("Customer", "Hi, I'm Maria Lopez. You charged me $34.90 on Friday for order KX-48213."),
        Turn("Agent", "Sorry Maria! I can't see the refund yet. When did you send the kettle back?"),
        Turn("Customer", "On March 4th, at 3 pm. The parcel weighed two kilos."),
        Turn("Agent", "Thank you. The refund takes 5 days. Our courier FastShip collected the kettle."),
        Turn("Customer", "Is the warranty still valid?"),
        Turn("Agent", "No, it ended last year."),
    ),
)


def found(summary: str, text: str, chat: Dialogue = CHAT) -> Verdict:
    """The one verdict on exactly this stretch of the summary."""
    verdicts = [verdict for verdict in check(summary, chat) if summary[verdict.start : verdict.end] == text]
    assert len(verdicts) == 1, check(summary, chat)
    return verdicts[0]


@pytest.mark.parametrize(
    ("summary", "text", "kind", "turn"),
    [
        ("Maria was charged $34.90.", "$34.90", "amount", 0),
        ("She paid 34.90 dollars.", "34.90 dollars", "amount", 0),
        ("She paid 34.90 USD.", "34.90 USD", "amount", 0),
        ("She was charged on Friday.", "Friday", "date", 0),
        ("The order is #KX48213.", "#KX48213", "id", 0),
        ("The order is KX-48213.", "KX-48213", "id", 0),
        ("She sent it back on 4 March.", "4 March", "date", 2),
        ("She sent it back on 03/04.", "03/04", "date", 2),
        ("She sent it at 15:00.", "15:00", "date", 2),
        ("She sent it at 3:00 pm.", "3:00 pm", "date", 2),
        ("The parcel weighed 2 kilos.", "2", "number", 2),
        ("The refund takes five days.", "five", "number", 3),
        ("A parcel of Maria Lopez was sent.", "Maria Lopez", "name", 0),
        ("It went with FastShip.", "FastShip", "name", 3),
        ("The agent cannot see the refund.", "cannot", "negation", 1),
        ("The warranty is not valid.", "not", "negation", 4),
    ],
)
def test_what_the_chat_says_in_any_spelling_is_supported_with_its_turn(
    summary: str, text: str, kind: str, turn: int
) -> None:
    verdict = found(summary, text)
    assert (verdict.kind, verdict.status, verdict.turn, verdict.support) == (kind, SUPPORTED, turn, 1.0)


@pytest.mark.parametrize(
    ("summary", "text", "kind", "turn", "reason"),
    [
        ("She was charged $45.90.", "$45.90", "amount", 0, "The chat says $34.90 (turn 1)."),
        ("She was charged on Monday.", "Monday", "date", 0, "The chat says Friday (turn 1)."),
        ("The order is KX-48219.", "KX-48219", "id", 0, "The chat says KX-48213 (turn 1)."),
        ("She sent it back on 5 March.", "5 March", "date", 2, "The chat says March 4th (turn 3)."),
        ("She sent it at 16:30.", "16:30", "date", 2, "The chat says 3 pm (turn 3)."),
        ("The refund takes 9 days.", "9", "number", 3, "The chat says 5 (turn 4)."),
        ("The courier did not collect the kettle.", "not", "negation", 3, "The chat says it without “not” (turn 4)."),
    ],
)
def test_another_value_in_the_same_place_is_a_contradiction(
    summary: str, text: str, kind: str, turn: int, reason: str
) -> None:
    verdict = found(summary, text)
    assert (verdict.kind, verdict.status, verdict.turn, verdict.support) == (kind, CONTRADICTED, turn, 0.0)
    assert verdict.reason == reason


@pytest.mark.parametrize(
    ("summary", "text", "kind", "reason"),
    [
        ("Sarah wants a refund.", "Sarah", "name", "“Sarah” is nowhere in the chat."),
        ("The agent told Peter Novak about it.", "Peter Novak", "name", "“Peter Novak” is nowhere in the chat."),
        ("It broke 7 times.", "7", "number", "“7” is nowhere in the chat."),
        ("It took eleven calls.", "eleven", "number", "“eleven” is nowhere in the chat."),
        ("She called yesterday.", "yesterday", "date", "“yesterday” is nowhere in the chat."),
        ("She wrote to help@shop.com.", "help@shop.com", "id", "“help@shop.com” is nowhere in the chat."),
    ],
)
def test_what_is_nowhere_in_the_chat_is_absent(summary: str, text: str, kind: str, reason: str) -> None:
    verdict = found(summary, text)
    assert (verdict.kind, verdict.status, verdict.turn, verdict.support) == (kind, ABSENT, None, 0.0)
    assert verdict.reason == reason


def test_a_statement_of_what_the_chat_only_denies_is_marked() -> None:
    chat = Dialogue("app", (Turn("Customer", "The app isn't loading my photos."), Turn("Agent", "Please restart it.")))
    verdict = found("The app is loading photos.", "loading", chat)
    assert (verdict.kind, verdict.status, verdict.turn) == ("negation", CONTRADICTED, 0)
    assert unsupported(check("The app isn't loading photos.", chat)) == 0


def test_a_new_word_is_shown_and_proves_nothing() -> None:
    verdict = found("FastShip collected the kettle and her trousers.", "trousers")
    assert (verdict.kind, verdict.status, verdict.support) == ("word", "new", None)
    assert not verdict.unsupported and unsupported([verdict]) == 0


def test_a_sentence_made_of_new_words_is_one_unsupported_fact() -> None:
    verdicts = check("The customer booked a flight towards the mountains with a friend.", CHAT)
    assert [verdict.kind for verdict in verdicts if verdict.unsupported] == ["event"]
    assert unsupported(verdicts) == 1


def test_what_one_side_said_and_the_summary_gives_to_the_other_is_marked_on_its_name() -> None:
    verdict = found("The customer apologised for the refund that takes 5 days and the courier FastShip.", "customer")
    assert (verdict.kind, verdict.status, verdict.turn) == ("role", CONTRADICTED, 3)
    assert (
        unsupported(check("The agent apologised for the refund that takes 5 days and the courier FastShip.", CHAT)) == 0
    )


def test_the_opposite_of_what_the_chat_says_is_marked_with_the_chats_word() -> None:
    chat = Dialogue("fee", (Turn("Customer", "Why did my fee increase?"), Turn("Agent", "The fee increased in May.")))
    verdict = found("The fee decreased in May.", "decreased", chat)
    assert (verdict.kind, verdict.status, verdict.turn) == ("opposite", CONTRADICTED, 0)
    assert "increase" in verdict.reason
    assert unsupported(check("The fee increased in May.", chat)) == 0


def test_what_the_chat_says_without_a_doubt_must_not_become_a_maybe() -> None:
    assert found("The refund might take 5 days.", "might").kind == "modality"
    unsure = Dialogue("unsure", (*CHAT.turns[:3], Turn("Agent", "Perhaps the refund takes 5 days.")))
    assert not unsupported(check("The refund might take 5 days.", unsure))


def test_a_speaker_known_by_a_number_is_in_the_chat() -> None:
    chat = Dialogue("ids", (Turn("115858", "My parcel is late."), Turn("Agent", "It comes on Friday.")))
    assert unsupported(check("115858 says the parcel is late.", chat)) == 0


def test_not_being_able_to_is_said_in_so_many_ways_that_silence_does_not_count_against_it() -> None:
    assert unsupported(check("The courier could not collect the kettle.", CHAT)) == 0
    assert unsupported(check("The courier did not collect the kettle.", CHAT)) == 1


def test_a_good_summary_in_other_words_is_left_alone() -> None:
    summary = (
        "The customer complains that she was charged $34.90 for order KX-48213. The agent explains that the reimbursement will "
        "take five days and says the warranty is no longer valid."
    )
    assert unsupported(check(summary, CHAT)) == 0


def test_two_candidates_are_no_contradiction() -> None:
    chat = Dialogue("two", (Turn("A", "One costs $10."), Turn("B", "The other one costs $20.")))
    assert found("It costs $30.", "$30", chat).status == ABSENT


def test_a_day_said_alone_supports_its_date_and_an_unrelated_number_does_not() -> None:
    chat = Dialogue(
        "day", (Turn("A", "March 3 or the 5th?"), Turn("B", "The 5th at 6 works. It takes 8 hours from 9 am."))
    )
    verdicts = {summary: check(summary, chat)[0].status for summary in ("March 5.", "March 8.", "6 pm.", "8 pm.")}
    assert verdicts == {"March 5.": SUPPORTED, "March 8.": CONTRADICTED, "6 pm.": SUPPORTED, "8 pm.": CONTRADICTED}


def test_another_currency_is_another_amount() -> None:
    chat = Dialogue("fx", (Turn("A", "It costs £20."),))
    assert found("It costs $20.", "$20", chat).status == CONTRADICTED
    assert found("It costs 20 pounds.", "20 pounds", chat).status == SUPPORTED


def test_speaker_tokens_are_names() -> None:
    chat = Dialogue("d", (Turn("#Person1#", "Hello there."), Turn("#Person2#", "Hi, the movie starts soon.")))
    summary = "#Person1# meets #Person2# and #Person3#."
    verdicts = {summary[v.start : v.end]: v.status for v in check(summary, chat)}
    assert verdicts == {"#Person1#": SUPPORTED, "#Person2#": SUPPORTED, "#Person3#": ABSENT}


def test_names_written_together_or_misspelled_are_known() -> None:
    chat = Dialogue("s", (Turn("Customer", "SpotifyCares my friend Johnny cant log in"),))
    assert unsupported(check("The customer tells Spotify that Jonny cannot log in.", chat)) == 0


@pytest.mark.parametrize(
    ("text", "mentions"),
    [
        ("20 dollars and 1,200.50 USD", [("20 dollars", "amount", {"20"}), ("1,200.50 USD", "amount", {"1200.5"})]),
        ("twenty-five or a dozen", [("twenty-five", "number", {"25"}), ("a dozen", "number", {"12"})]),
        ("half past three", [("half past three", "date", {"03:30", "15:30"})]),
        ("on 2024-03-04", [("2024-03-04", "date", {"3-4-2024"})]),
        ("on 03/04", [("03/04", "date", {"3-4", "4-3"})]),
        (
            "24/7, 2-3 days",
            [("24", "number", {"24"}), ("7", "number", {"7"}), ("2", "number", {"2"}), ("3", "number", {"3"})],
        ),
        ("iOS 11.0.3 by #123", [("11.0.3", "id", {"1103"}), ("#123", "id", {"123"})]),
        ("one of them may", []),
    ],
)
def test_values_are_read_as_people_mean_them(text: str, mentions: list[tuple[str, str, set[str]]]) -> None:
    assert [(text[m.start : m.end], m.kind, set(m.keys)) for m in spot(text)] == mentions


@pytest.mark.parametrize(
    "summary", ["", " \n ", "\0", "🙂🙂", "؟ مرحبا بالعالم", "...", "n't 's '", "#", "# # ##", "$", "Not."]
)
@pytest.mark.parametrize("turns", [(), (Turn("", ""),), (Turn("A", "\0"), Turn("🙂", "مرحبا 🙂"))])
def test_strange_input_gives_an_answer(summary: str, turns: tuple[Turn, ...]) -> None:
    for verdict in check(summary, Dialogue("odd", turns)):
        assert 0 <= verdict.start < verdict.end <= len(summary)


@pytest.mark.parametrize("piece", ["a ", "x", "don't stop. ", "1,234 ", "(1"])
def test_a_turn_of_half_a_megabyte_does_not_hang(piece: str) -> None:
    started = time.process_time()
    check("Sarah paid $30 on Monday.", Dialogue("big", (Turn("A", piece * (500_000 // len(piece))),)))
    assert time.process_time() - started < 60


_PIECES = st.sampled_from(
    [
        "Anna",
        "Tom",
        "Customer",
        "the",
        "a",
        "not",
        "can't",
        "never",
        "paid",
        "$20",
        "20",
        "dollars",
        "£5",
        "KX-4821",
        "#99",
        "Monday",
        "3",
        "pm",
        "03/04",
        "March",
        "4",
        "two",
        "seven",
        "asked",
        "refund,",
        "kettle.",
        "broken?",
        "5-6",
        "'",
        '"',
        "🙂",
        "\x00",
        "\n",
        "#Person1#",
        "I'm",
        "Mr.",
        "New",
        "York",
        "noon",
        "1,000.50",
        "a@b.co",
        "unavailable",
    ]
)
_TEXTS = st.lists(_PIECES, max_size=14).map(" ".join) | st.text(max_size=60)
_DIALOGUES = st.lists(
    st.builds(Turn, st.sampled_from(["Anna", "Agent", "#Person1#", "7", "115858", "March"]), _TEXTS), max_size=5
).map(lambda turns: Dialogue("h", tuple(turns)))


@settings(max_examples=300, deadline=None)
@given(_TEXTS, _DIALOGUES)
def test_verdicts_are_ordered_apart_in_range_and_the_same_each_time(summary: str, dialogue: Dialogue) -> None:
    verdicts = check(summary, dialogue)
    assert verdicts == check(summary, Dialogue("again", dialogue.turns))
    ends = [0, *(verdict.end for verdict in verdicts)]
    for end, verdict in zip(ends, verdicts, strict=False):
        assert end <= verdict.start < verdict.end <= len(summary)
        assert verdict.turn is None or 0 <= verdict.turn < len(dialogue.turns)
        assert (verdict.support == 1.0) == (verdict.status == SUPPORTED)
        assert verdict.reason.endswith(".")


@example(["$20 $20 £5"], 0)  # one turn with a sum in two currencies
@settings(max_examples=300, deadline=None)
@given(st.lists(_TEXTS, min_size=1, max_size=4), st.integers(0, 3))
def test_a_summary_copied_from_the_chat_is_never_unsupported(texts: list[str], which: int) -> None:
    dialogue = Dialogue("copy", tuple(Turn("Anna", text) for text in texts))
    assert unsupported(check(texts[which % len(texts)], dialogue)) == 0


def test_values_are_found_as_if_every_pattern_were_tried_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).resolve().parents[1]
    shipped = [turn.text for e in Dataset.load(root / "assets" / "chats").splits["test"] for turn in e.dialogue.turns]
    hostile = (root / "tests" / "hostile_texts.txt").read_text(encoding="utf-8").split("\n")
    odd = [
        "5 \u212a dollars on ſunday, May 3",
        "HALF PAST FIVE on March 4th at 5h30 for 3-5 people",
        "half_past ten, noon-ish",
    ]
    found = [spot(text) for text in (*shipped, *hostile, *odd)]
    monkeypatch.setattr(mentions, "_spotters", lambda window: mentions._SPOTTERS)
    spot.cache_clear()
    assert [spot(text) for text in (*shipped, *hostile, *odd)] == found
