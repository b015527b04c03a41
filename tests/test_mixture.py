"""Many tasks, one stream: proportional rates, held-out tasks, a user's own file and what is refused in it."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from tuning.chat_rows import ChatRows, columns
from tuning.chats import Chat
from tuning.mixture import MixtureRefused, Pair
from tuning.mixture_file import read_mixture

GOOD = """\
cap: 20
tasks:
- name: refunds
  file: refunds.jsonl
  templates:
  - ["Was this paid back? {chat}", "{paid}"]
  inverted:
  - ["Write a chat where the answer is {paid}.", "{chat}"]
  thoughts:
  - ["Think: {chat}", "{why} So: {paid}"]
- file: topics.csv
  each: topic
  without: [secret]
  weight: 2
  templates: [["Name a thing about {topic}.", "{thing}"]]
- name: secret
  file: topics.csv
  where: {topic: secret}
  metric: exact
  held_out: true
  templates: [["Name a thing about {topic}.", "{thing}"]]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rows = [{"chat": f"chat {n}", "paid": ["yes", "no"][n % 2], "why": f"because {n}"} for n in range(50)]
    (folder / "refunds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    things = [
        f"{topic},thing {n}" for topic, count in (("tea", 10), ("ships", 40), ("secret", 5)) for n in range(count)
    ]
    (folder / "topics.csv").write_text("\ufefftopic,thing\n" + "\n".join(things), encoding="utf-8")
    return folder


def mixture_of(text: str, data: Path) -> Path:
    (data / "mixture.yaml").write_text(text, encoding="utf-8")
    return data / "mixture.yaml"


def test_a_task_weighs_as_its_examples_up_to_the_cap_times_its_weight(data: Path) -> None:
    mixture = read_mixture(mixture_of(GOOD, data), data)
    assert {task.name: rate for task, rate in zip(mixture.trained, mixture.rates, strict=True)} == {
        "refunds": 20 / 80,
        "tea": 20 / 80,
        "ships": 40 / 80,
    }
    drawn = Counter(case.task for case in islice(mixture.stream(), 2000))
    assert drawn["ships"] == pytest.approx(1000, abs=120)


def test_a_held_out_task_never_enters_the_stream_nor_the_plain_text(data: Path) -> None:
    mixture = read_mixture(mixture_of(GOOD, data), data)
    assert [task.name for task in mixture.held_out] == ["secret"]
    assert not any("secret" in case.prompt for case in islice(mixture.stream(), 2000))
    assert not any("secret" in text for text in mixture.texts())


def test_several_workers_together_give_the_stream_of_one(data: Path) -> None:
    mixture = read_mixture(mixture_of(GOOD, data), data, seed=3)
    alone = list(islice(mixture.stream(), 30))
    shared = [list(islice(mixture.stream(worker, 3), 10)) for worker in range(3)]
    assert [case for together in zip(*shared, strict=True) for case in together] == alone
    assert list(islice(read_mixture(data / "mixture.yaml", data, seed=4).stream(), 30)) != alone


def test_answers_are_asked_the_other_way_round_and_with_reasons_too(data: Path) -> None:
    prompts = {case.prompt.split()[0] for case in islice(read_mixture(mixture_of(GOOD, data), data).stream(), 500)}
    assert {"Was", "Write", "Think:"} <= prompts


@pytest.mark.parametrize(
    ("change", "line", "word"),
    [
        (("refunds.jsonl", "refund.jsonl"), 4, "refund.jsonl"),
        (("{paid}.", "{payd}."), 8, "payd"),
        (("topic: secret", "subject: secret"), 18, "subject"),
        (("metric: exact", "metric: exactly"), 19, "exactly"),
        (("held_out", "heldout"), 20, "heldout"),
        (('[["Name a thing about {topic}.", "{thing}"]]\n- name', '["{thing}"]\n- name'), 15, "pair"),
        (("tasks:", "tasks: ["), 3, "YAML"),
    ],
)
def test_what_is_wrong_in_a_mixture_file_is_said_with_its_line(
    data: Path, change: tuple[str, str], line: int, word: str
) -> None:
    with pytest.raises(MixtureRefused) as refused:
        read_mixture(mixture_of(GOOD.replace(*change), data), data)
    assert any(problem.row == line and word in problem.reason for problem in refused.value.problems), refused.value


def test_all_that_is_wrong_in_a_mixture_file_is_said_at_once(data: Path) -> None:
    with pytest.raises(MixtureRefused) as refused:
        read_mixture(mixture_of(GOOD.replace("refunds.jsonl", "x").replace("exact", "y"), data), data)
    assert len(refused.value.problems) == 2


def test_a_row_that_lacks_a_column_gives_no_case() -> None:
    assert Pair("{a}", "{b}").fill({"a": "1", "b": ""}) is None
    assert Pair("{a}?", "{b}").fill({"a": "1", "b": "2"}) == ("1?", "2")


def test_what_a_chat_row_says_of_a_fact_is_in_the_chat_or_said_to_be_missing(tmp_path: Path) -> None:
    from dialogues.dialogue import Dialogue, Turn

    turns = (
        Turn("Customer", "I lost my card 4451 in Oslo yesterday."),
        Turn("Agent", "I have blocked the card 4451 for you."),
        Turn("Customer", "Thank you so much for that."),
    )
    chat = Chat(Dialogue("c", turns), ("report a lost card",), {"card number": "4451", "city": "Oslo"})
    import random

    rows = [columns(chat, random.Random(seed)) for seed in range(60)]
    assert all((row["value"] in row["dialogue"]) == (row["named"] == "Yes") for row in rows)
    assert {row["named"] for row in rows} == {"Yes", "No"}
    assert all(row["resolved"] == "Yes" for row in rows)
    assert len(ChatRows(tmp_path)) == 0
