"""What can be relied on about the sample chats that ship with the app."""

import re
from pathlib import Path

import pytest
import yaml

from dialogues.dialogue import SPLITS, Dataset
from dialogues.situations import SituationRefused, make_dataset, read_situations

ASSETS = Path(__file__).resolve().parents[1] / "assets"
SHIPPED = Dataset.load(ASSETS / "chats")
EVERY = [example for split in SPLITS for example in SHIPPED.splits[split]]
SITUATION = """
- id: late_lamp
  topic: delivery
  split: train
  values: {item: [lamp, chair]}
  opening:
    - customer: ["My {item} is late", "Where is my {item}?", "The {item} has not come"]
    - agent: ["Order?", "Which order?", "The order number, please?"]
    - customer: ["{order}", "It's {order}", "Order {order}"]
  endings:
    - outcome: resolved
      turns:
        - agent: ["It comes today", "Today it arrives", "You get it today"]
        - customer: ["ok", "good", "fine"]
        - agent: ["Bye", "Good bye", "See you"]
      facts: {problem: "The {item} is late", action: "The agent looked", outcome: "It comes today", next_step: null}
      references:
        - ["{customer}'s {item} is late.", "A late {item}.", "Late: the {item}."]
        - ["Order {order} comes today.", "It comes today.", "Today {order} arrives."]
"""


def names():
    return yaml.safe_load((ASSETS / "names.yaml").read_text("utf-8"))


def test_at_least_600_chats_in_60_situations_of_6_to_20_turns_with_two_references_each():
    assert len(EVERY) >= 600 and len({example.facts["situation"] for example in EVERY}) >= 60
    assert all(6 <= len(example.dialogue.turns) <= 20 for example in EVERY)
    assert all(len(example.references) == 2 and all(example.references) for example in EVERY)
    assert (
        len({example.dialogue.text for example in EVERY})
        == len({example.dialogue.id for example in EVERY})
        == len(EVERY)
    )


def test_every_chat_keeps_its_facts_as_fields():
    assert all(
        {"situation", "customer", "result", "problem", "action", "outcome"} <= set(example.facts) for example in EVERY
    )
    assert {example.facts["result"] for example in EVERY} == {"resolved", "unresolved", "escalated"}


def test_no_situation_of_the_test_split_is_trained_on():
    situations = {split: {example.facts["situation"] for example in SHIPPED.splits[split]} for split in SPLITS}
    assert not situations["test"] & (situations["train"] | situations["validation"])


def test_ids_and_amounts_that_a_reference_names_stand_in_its_chat():
    for example in EVERY:
        for reference in example.references:
            for value in re.findall(r"\$\d[\d.]*\d|#?[A-Z]{0,2}-?\d{5,6}", reference):
                assert value in example.dialogue.text, (example.dialogue.id, value)


def test_the_shipped_chats_come_out_of_the_shipped_situations():
    assert make_dataset(read_situations(ASSETS / "situations"), names()).digest == SHIPPED.digest


def test_a_sound_situation_is_read_and_no_placeholder_is_left_in_its_chats(tmp_path):
    (tmp_path / "a.yaml").write_text(SITUATION)
    dataset = make_dataset(read_situations(tmp_path), names())
    assert len(dataset.splits["train"]) == 10
    assert not any("{" in example.dialogue.text + "".join(example.references) for example in dataset.splits["train"])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("split: train", "split: dev", "split"),
        ('"Today {order} arrives."', '"{amount} is paid back."', "amount"),
        ("Where is my {item}?", "Where is it?", "item"),
        ("The {item} has not come", "The {thing} has not come", "thing"),
        ('        - agent: ["Bye", "Good bye", "See you"]\n', "", "turns"),
        (', "Late: the {item}."', "", "references"),
    ],
)
def test_a_situation_that_breaks_a_rule_is_refused_by_name(tmp_path, old, new, says):
    (tmp_path / "a.yaml").write_text(SITUATION.replace(old, new))
    with pytest.raises(SituationRefused, match="late_lamp") as refused:
        read_situations(tmp_path)
    assert says in str(refused.value)
