"""The base model's recipe at toy size, on data made here: tokenizer, training, resumption, a model that loads and writes."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from dialogues.dialogue import Dialogue, Refused, Turn
from prompting.catalog import TEMPLATES
from tuning.batches import ALIKE, GROUPS, batch, copying, corrupt, load, ragged, shares, store
from tuning.chat_rows import BAD, columns, read
from tuning.chats import Chat, cut, labelled, varied
from tuning.mixture_file import read_mixture
from tuning.muon import BatchedMuon
from tuning.prepare import TOY, prepare
from tuning.pretrain import MIXTURE as SHIPPED
from tuning.pretrain import new_model, pretrain
from tuning.restate import said_by_agent, said_by_customer, sentences, third_person
from tuning.tokenizer import SENTINELS

SHARED = Path(__file__).parents[2] / "shared" / "data"
ITEMS = ("router", "phone", "card", "ticket", "jacket", "bike", "lamp", "camera")


def _record(number: int) -> dict[str, object]:
    rng = random.Random(number)
    item, code, city = rng.choice(ITEMS), str(rng.randint(10000, 99999)), rng.choice(("Oslo", "Lima", "Rome"))
    told = f"User: Hi, I need a new {item} for order {code} in {city}.\nAgent: May I have the date?\nUser: It was March {number % 28 + 1}th.\n"
    told += f"Agent: Your {item} has been sent to {city}.\nUser: Thanks, that is all.\nAgent: Have a great day."
    slots = {"Shops_1.order": code, "Shops_1.city": city}
    return {
        "id": f"t_{number}",
        "split": "train",
        "services": ["Shops_1"],
        "intents": ["FindEvents"],
        "final_slots": slots,
        "dialogue": told,
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "corpus").mkdir()
    with gzip.open(folder / "corpus" / "sgd_dialogs.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(_record(number)) + "\n" for number in range(150))
    return folder


MIXTURE = """
tasks:
- {name: summary, reader: chats, weight: 2, templates: [["summarize: {dialogue}", "{summary}"]]}
- {name: fact, reader: chats, templates: [["{dialogue}\\n\\nWhat is the {label}?", "{value}"]]}
"""


@pytest.fixture(scope="module")
def mixture(data: Path) -> Path:
    (data / "mixture.yaml").write_text(MIXTURE, encoding="utf-8")
    return data / "mixture.yaml"


@pytest.fixture(scope="module")
def trained(data: Path, mixture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    pretrain(data, out, 0.02, TOY, mixture)
    return out


def test_the_recipe_leaves_a_model_that_loads_offline_and_writes(trained: Path) -> None:
    model = AutoModelForSeq2SeqLM.from_pretrained(trained / "model", local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(trained / "model", local_files_only=True)
    prompt = tokenizer("summarize: Customer: hi\nAgent: hello", return_tensors="pt")
    assert model.dtype == torch.bfloat16
    assert tokenizer.batch_decode(model.generate(**prompt, max_new_tokens=5))[0]


def test_running_the_command_again_goes_on_from_the_saved_step(data: Path, mixture: Path, trained: Path) -> None:
    before = torch.load(trained / "state.pt", weights_only=True)["step"]
    pretrain(data, trained, 0.04, TOY, mixture)
    assert torch.load(trained / "state.pt", weights_only=True)["step"] > before
    seconds = [json.loads(line)["seconds"] for line in (trained / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert seconds == sorted(seconds)


def test_a_model_is_taken_further_from_its_weights_with_its_tokenizer_and_no_plain_text_first(
    data: Path, mixture: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def watched(*given: Any) -> Any:
        asked.append(given[-1])
        return batch(*given)

    monkeypatch.setattr("tuning.pretrain.batch", watched)
    pretrain(data, tmp_path, 0.02, TOY, mixture, start=trained / "model")
    assert asked and all(shares(progress)[1] < 0.1 for progress in asked)
    before, after = (AutoModelForSeq2SeqLM.from_pretrained(folder / "model") for folder in (trained, tmp_path))
    moved = (after.shared.weight - before.shared.weight).norm() / before.shared.weight.norm()
    assert 0 < moved < 0.5  # a fresh start would lie farther away than the weights are large
    assert not (tmp_path / "pretrained").exists()
    assert (tmp_path / "model" / "tokenizer.json").read_bytes() == (trained / "model" / "tokenizer.json").read_bytes()


def test_a_model_that_is_not_there_or_has_another_tokenizer_is_refused_before_any_work(
    data: Path, mixture: Path, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="no model in"):
        pretrain(data, tmp_path, 0.02, TOY, mixture, start=tmp_path / "nowhere")
    shutil.copytree(trained / "tokenizer", tmp_path / "tokenizer")
    with (tmp_path / "tokenizer" / "tokenizer.json").open("a") as file:
        file.write(" ")
    with pytest.raises(Refused, match="is not the tokenizer of"):
        pretrain(data, tmp_path, 0.02, TOY, mixture, start=trained / "model")
    assert not (tmp_path / "arrays").exists()


def test_a_batch_depends_on_its_step_only_and_keeps_to_the_token_budget(trained: Path) -> None:
    arrays = {name: load(trained / "arrays" / f"{name}.npz") for name in GROUPS}
    for step in range(40):
        first, again = (batch(arrays, 512, 600, 0, step, 0.5) for _ in range(2))
        assert all(np.array_equal(first[name], again[name]) for name in first)
        rows = len(first["input_ids"])
        assert rows == 1 or rows * (first["input_ids"].shape[1] + first["labels"].shape[1]) <= 512 + 4 * rows


def test_the_arrays_are_the_same_however_many_processes_make_them(
    data: Path, mixture: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A tokenizer that is learnt anew may differ in its last pieces.
    shutil.copytree(trained / "tokenizer", tmp_path / "tokenizer")
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr("tuning.prepare.SHARE", 70)
    prepare(data, tmp_path, TOY, mixture)
    for name in GROUPS:
        alone, together = (load(folder / "arrays" / f"{name}.npz") for folder in (tmp_path, trained))
        assert all(np.array_equal(alone[key], together[key]) for key in alone)


def test_rows_alike_in_length_lie_side_by_side_and_none_is_lost(tmp_path: Path) -> None:
    rng = random.Random(0)
    pairs = [
        ([rng.randrange(600) for _ in range(rng.randrange(1, 90))], [number] * rng.randrange(1, 9))
        for number in range(50)
    ]
    store(tmp_path / "rows.npz", [ragged(pairs[:20]), ragged(pairs[20:])])
    stored = load(tmp_path / "rows.npz")
    sources, targets = (np.split(stored[side], stored[f"{side}_ends"][:-1]) for side in ("source", "target"))
    assert sorted(zip(map(list, targets), map(list, sources), strict=True)) == sorted((b, a) for a, b in pairs)
    widths = [(len(source) // ALIKE, len(target)) for source, target in zip(sources, targets, strict=True)]
    assert widths == sorted(widths)


def test_a_copying_answer_is_what_follows_the_marker() -> None:
    for source, target in copying(512, 600, 12, np.random.default_rng(0)):
        marker = list(source).index(600 - len(SENTINELS))
        assert list(source[marker + 1 :]) == list(target)


def test_muon_moves_a_matrix_by_one_rate_in_every_direction() -> None:
    weight = torch.nn.Parameter(torch.zeros(24, 16))
    optimizer = BatchedMuon([{"params": [weight]}], lr=0.1)
    weight.grad = torch.randn(24, 16, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    moved = torch.linalg.svdvals(weight.detach()) / (0.1 * (24 / 16) ** 0.5)
    assert 0.6 < float(moved.min()) <= float(moved.max()) < 1.3


@pytest.mark.parametrize(
    "text", ["Order #AB-1234 at 12:30, $4.50!", "naïve 日本 😀 “quoted”", "Customer: hi\nAgent: hello, it's me"]
)
def test_the_tokenizer_gives_every_text_back_and_knows_no_unknown(trained: Path, text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained / "tokenizer")
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_the_tokenizer_keeps_every_digit_apart(trained: Path) -> None:
    pieces = AutoTokenizer.from_pretrained(trained / "tokenizer").tokenize("order 90210")
    assert [piece.strip("▁") for piece in pieces if piece.strip("▁").isdigit()] == list("90210")


def test_span_corruption_can_be_undone() -> None:
    ids, sentinels = list(range(100, 200)), list(range(1000, 1032))
    source, target = corrupt(ids, sentinels, random.Random(1))
    spans: dict[int, list[int]] = {}
    for one in target[:-1]:
        if one in sentinels:
            spans[current := one] = []
        else:
            spans[current].append(one)
    assert [word for one in source[:-1] for word in spans.get(one, [one])] == ids


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Can you cancel my order?", "The customer asked the agent to cancel their order."),
        ("I was charged twice for my order 123.", "The customer was charged twice for their order 123."),
        ("I want you to call me at 6:10 am", "The customer wants them to call them at 6:10 am."),
        ("Can I get a refund?", "The customer asked to get a refund."),
        ("My internet is down.", "The customer said their internet is down."),
    ],
)
def test_a_customers_words_become_a_statement_about_them(said: str, told: str) -> None:
    assert said_by_customer(said) == told


def test_an_agents_words_become_a_statement_about_them() -> None:
    assert said_by_agent("I've refunded your card.") == "The agent has refunded their card."
    assert said_by_agent("Your parcel is on its way!") == "The agent said their parcel is on its way."


def test_greetings_do_not_count_as_something_said() -> None:
    assert sentences("Hi there! Sure, I lost my card.") == ["I lost my card."]
    assert third_person("I am sure") == "they are sure"


CHAT = Chat(
    Dialogue(
        "c",
        (
            Turn("Customer", "Hello, my name is Ben and I lost my card 351531510."),
            Turn("Agent", "Which city are you in?"),
            Turn("Customer", "I am in Oslo right now."),
            Turn("Agent", "I have blocked the card 351531510, Ben."),
            Turn("Customer", "Thank you, bye."),
        ),
    ),
    ("report a lost card",),
    {"name": "Ben", "account number": "351531510"},
)


def test_a_variation_changes_names_and_numbers_everywhere_alike() -> None:
    for seed in range(20):
        new = varied(CHAT, random.Random(seed))
        assert "351531510" not in new.dialogue.text
        assert new.dialogue.text.count(new.facts["account number"]) == 2
        assert new.dialogue.text.count(new.facts["name"]) >= 2


def test_a_stretch_of_a_chat_claims_no_fact_that_it_left_out() -> None:
    for seed in range(50):
        part = cut(CHAT, random.Random(seed))
        assert all(value.lower() in part.dialogue.text.lower() for value in part.facts.values())


def test_speakers_get_many_names_and_the_answer_calls_persons_by_theirs() -> None:
    seen = {labelled(CHAT, random.Random(seed))[1] for seed in range(200)}
    assert {"The customer", "#Person1#"} < seen


def test_a_chat_is_read_as_request_and_outcome() -> None:
    said = read(CHAT, "The customer", "The agent")
    assert said.asked[0].startswith("The customer said their name is Ben")
    assert said.outcome == "The agent has blocked the card 351531510, Ben."


def test_what_one_side_asked_or_said_about_a_word_is_told_of_that_side_alone() -> None:
    later = (*CHAT.dialogue.turns, Turn("Customer", "Please send the new card to my office."))
    chat = replace(CHAT, dialogue=Dialogue("c", later))
    rows = [columns(chat, random.Random(seed)) for seed in range(80)]
    asked = {row["questions"] for row in rows}
    assert "" in asked and any(one.endswith('asked "Which city are you in?"') for one in asked)
    assert {row["word"] for row in rows} >= {"", "blocked", "office"}
    for row in rows:
        if row["questions"]:
            assert f"{row['who']}: Which city are you in?" in row["dialogue"]
        if row["word"]:
            assert row["word"] in row["turn"] and row["word"] in row["restated"]
            assert row["dialogue"].lower().count(row["word"]) == 1
        assert row["explained"].endswith("has blocked the card 351531510, Ben.")
        assert row["ending"].endswith("to send the new card to their office.")


def test_before_the_first_task_the_model_is_kept_on_its_own(trained: Path) -> None:
    assert (trained / "pretrained" / "model.safetensors").stat().st_size > 0


def test_a_new_models_first_heads_look_at_the_neighbours() -> None:
    model = new_model(TOY, 600)
    for stack, second in ((model.encoder, 17), (model.decoder, 2)):
        bias = stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight
        assert bias[1, 0] == bias[second, 1] == 4.0


def test_every_shipped_template_is_taught() -> None:
    taught = SHIPPED.read_text(encoding="utf-8")
    for template in TEMPLATES.values():
        assert json.dumps(template.pattern)[1:-1] in taught, template.name


def test_bad_news_is_told_from_good_news() -> None:
    assert BAD.search("Unfortunately, that is not available.")
    assert not BAD.search("Your table has been booked.")


def test_no_set_used_for_measuring_enters_the_mixture() -> None:
    if not SHARED.exists():
        pytest.skip("needs the public sets in ../shared/data, which are not part of the project")
    mixture = read_mixture(SHIPPED, SHARED)
    names = {task.name for task in mixture.tasks}
    assert {task.name for task in mixture.held_out} == {"need", "details", "film remarks"}
    assert not any(word in name.lower() for name in names for word in ("samsum", "dialogsum", "tweet"))
