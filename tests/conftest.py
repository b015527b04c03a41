"""Fixtures for every test: a tiny T5 with its own tokenizer, and a small set of chats whose facts are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dialogues.dialogue import Dataset, Dialogue, Example, Turn

NAMES = ("Ada", "Ben", "Chloe", "Dev", "Emi", "Farid", "Grace")
ITEMS = ("kettle", "lamp", "router", "jacket", "headset")
PROBLEMS = (
    ("refund", "arrived broken", "refunded {amount}", "The money is back in three days."),
    ("delivery", "has not arrived", "sent a new one", "It arrives on {day}."),
    ("return", "is too small", "opened a return", "A courier comes on {day}."),
    ("billing", "was charged twice", "gave back {amount}", "Nothing else is needed."),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


def make_example(number: int) -> Example:
    """The support chat with this number: its customer, item, order, amount and day all follow from the number."""
    topic, trouble, done, then = PROBLEMS[number % len(PROBLEMS)]
    facts = {
        "customer": NAMES[number % len(NAMES)],
        "item": ITEMS[number % len(ITEMS)],
        "order": f"A{1000 + 37 * number}",
        "amount": f"${10 + number}.50",
        "day": DAYS[(number // 2) % len(DAYS)],
    }
    done, then = done.format(**facts), then.format(**facts)
    turns = [
        Turn("Customer", f"Hi, this is {facts['customer']}. My {facts['item']} {trouble}."),
        Turn("Agent", "I am sorry to hear that. What is the order number?"),
        Turn("Customer", f"It is {facts['order']}, I paid {facts['amount']}."),
        Turn("Agent", f"Thank you. I have {done}. {then}"),
    ]
    turns += [Turn("Customer", "Are you sure?"), Turn("Agent", "Yes, quite sure.")] * (number % 3)
    turns.append(Turn("Customer", "Great, thanks!"))
    references = (
        f"{facts['customer']}'s {facts['item']} (order {facts['order']}) {trouble}. The agent {done}.",
        f"{facts['customer']} wrote that the {facts['item']} {trouble}; the agent {done}. {then}",
    )
    return Example(Dialogue(f"chat-{number}", tuple(turns)), references, topic, facts)


@pytest.fixture(scope="session")
def chats() -> Dataset:
    """40 chats: 28 to train on, 5 to validate, 7 to test; two references and five facts each."""
    examples = [make_example(number) for number in range(40)]
    return Dataset(
        "forty chats",
        {"train": tuple(examples[:28]), "validation": tuple(examples[28:33]), "test": tuple(examples[33:])},
    )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, chats: Dataset) -> Path:
    """A folder with a T5 v1.1 of some 100,000 random numbers: it says nonsense, in milliseconds, always the same."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = make_tokenizer([f"{e.dialogue.text}\n{' '.join(e.references)}" for e in chats.splits["train"]])
    tokenizer.save_pretrained(folder)
    make_model(len(tokenizer)).save_pretrained(folder)
    return folder


def make_model(vocabulary: int) -> Any:
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=vocabulary, d_model=48, d_kv=12, d_ff=96, num_layers=2, num_heads=4,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0,
    )  # fmt: skip
    return T5ForConditionalGeneration(config)


def make_tokenizer(texts: list[str]) -> Any:
    """A Unigram tokenizer over these texts; what they do not hold is spelled in bytes, so nothing is unknown."""
    import json

    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "</s>", "<unk>"]
    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(
        texts, trainers.UnigramTrainer(vocab_size=300, special_tokens=special, unk_token="<unk>", show_progress=False)
    )
    pieces = [tuple(piece) for piece in json.loads(trained.to_str())["model"]["vocab"]]
    pieces += [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=True))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


class Scripted:
    """A Summarizer at the seam: it answers each prompt with what the script says about the chat in it."""

    def __init__(self, name: str, script: dict[str, str]) -> None:
        self.name, self.digest, self.script = name, f"{len(name):012x}", script

    def summarize(self, prompts: Any, decoding: Any, progress: Any = None) -> list[Any]:
        from prompting.model import Summary

        found = [next(text for chat, text in self.script.items() if chat in prompt) for prompt in prompts]
        return [Summary(text, 100, len(text.split()), False, False) for text in found]

    def stream(self, prompt: str, decoding: Any) -> Any:
        yield self.summarize([prompt], decoding)[0].text


@pytest.fixture(scope="session")
def comparison(chats: Dataset) -> Any:
    """Zero-shot invents an amount and a name in every chat; checkpoint 200 says what the first reference says."""
    return compare_scripted(chats, "Forty chats, tuned")


def compare_scripted(chats: Dataset, title: str) -> Any:
    from evaluation.comparison import compare

    return compare(script_reports(chats), chats.splits["test"], title)


def script_reports(chats: Dataset) -> list[Any]:
    """The two reports behind `comparison`, as the app stores them."""
    from evaluation.measure import measure
    from prompting.catalog import DEFAULT
    from prompting.model import Decoding

    test = chats.splits["test"]
    invented = {e.dialogue.text: f"Zelda wants {e.facts['item']} money back, $999.99." for e in test}
    faithful = {e.dialogue.text: e.references[0] for e in test}
    return [
        measure(Scripted(name, script), chats, "test", DEFAULT, Decoding(), "run", step)
        for step, name, script in ((0, "bundled", invented), (200, "checkpoint 200", faithful))
    ]
