"""The trainer: its loss is the model's own, for every shape of T5, whole or under LoRA, however a step is gathered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import DataCollatorForSeq2Seq, Seq2SeqTrainer, Seq2SeqTrainingArguments, T5Config
from transformers import T5ForConditionalGeneration as T5

from tuning import objective
from tuning.trainer import Grouped, Tuner

SHAPES = {  # T5 1.1 and FLAN-T5, T5 1.0, and two that nobody has published
    "flan": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    "bundled": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": True, "num_decoder_layers": 1},
    "t5-1.0": {"feed_forward_proj": "relu", "tie_word_embeddings": True},
    "silu": {"feed_forward_proj": "gated-silu", "tie_word_embeddings": False},
}


def make(shape: str = "flan", dropout: float = 0.0) -> Any:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=120, d_model=48, d_kv=12, d_ff=96, num_layers=2, num_heads=4, decoder_start_token_id=0,
        dropout_rate=dropout, initializer_factor=0.3, **SHAPES[shape],
    )  # fmt: skip
    return T5(config)


def adapted(model: Any) -> Any:
    model = get_peft_model(model, LoraConfig(task_type="SEQ_2_SEQ_LM", r=4, target_modules=["q", "v", "wi", "wo"]))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)  # else the adapter adds nothing yet
    return model


def pairs(count: int = 24) -> list[dict[str, list[int]]]:
    drawn = torch.Generator().manual_seed(1)
    found = []
    for number in range(count):
        source, target = (
            torch.randint(2, 120, (length,), generator=drawn).tolist() for length in (5 + number, 3 + number % 7)
        )
        found.append({"input_ids": source, "attention_mask": [1] * len(source), "labels": target})
    return found


class Tokens:
    """As much of a tokenizer as padding needs."""

    padding_side = "right"

    def pad(self, rows: Any, return_tensors: str | None = None, **_: Any) -> dict[str, torch.Tensor]:
        longest = max(len(row["input_ids"]) for row in rows)
        return {
            name: torch.tensor([row[name] + [0] * (longest - len(row[name])) for row in rows])
            for name in ("input_ids", "attention_mask")
        }


def collate(rows: list[dict[str, list[int]]]) -> Any:
    return DataCollatorForSeq2Seq(Tokens())([dict(row) for row in rows])  # type: ignore[arg-type]


def trained(trainer: type, model: Any, folder: Path, **changes: Any) -> tuple[list[float], list[float]]:
    """Loss by step, and validation losses, of six steps over all pairs at once, so that their order is no matter."""
    settings = {
        "max_steps": 6, "per_device_train_batch_size": 24, "per_device_eval_batch_size": 24, "learning_rate": 1e-3, "use_cpu": True, "logging_steps": 1,
        "eval_on_start": True, "report_to": "none", "disable_tqdm": True, "save_strategy": "no", **changes,
    }  # fmt: skip
    run = trainer(
        model=model,
        args=Seq2SeqTrainingArguments(str(folder), **settings),
        train_dataset=pairs(),
        eval_dataset=pairs(9),
        data_collator=collate,
    )
    run.train()
    run.evaluate()
    logs = run.state.log_history
    return [log["loss"] for log in logs if "loss" in log], [log["eval_loss"] for log in logs if "eval_loss" in log]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lora", [False, True], ids=["whole", "lora"])
def test_loss_and_gradients_are_those_of_the_models_own_forward(shape: str, lora: bool) -> None:
    model = adapted(make(shape)) if lora else make(shape)
    inner = model.get_base_model() if lora else model
    batch = collate(pairs(9))
    assert objective.covers(inner) and (batch["labels"] == -100).any() and (batch["attention_mask"] == 0).any()
    found = {}
    for way, run in {
        "own": lambda: model(**batch).loss,
        "ours": lambda: objective.loss(inner, batch, torch.float32),
    }.items():
        model.zero_grad()
        loss = run()
        loss.backward()
        found[way] = loss.item(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    assert found["ours"][0] == pytest.approx(found["own"][0], abs=1e-5)
    assert found["ours"][1].keys() == found["own"][1].keys()
    for name, grad in found["own"][1].items():
        torch.testing.assert_close(found["ours"][1][name], grad, rtol=1e-4, atol=1e-5, msg=name)


def test_a_validation_needs_no_gradient_and_gives_the_same_loss() -> None:
    model, batch = make().eval(), collate(pairs(9))
    with torch.no_grad():
        loss = objective.loss(model, batch, torch.float32)
        assert not loss.requires_grad and loss.item() == pytest.approx(model(**batch).loss.item(), abs=1e-5)


def test_dropout_drops_its_share_evenly_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    first, second = (objective._dropped(torch.ones(4_000_002), 0.1) for _ in range(2))
    for lane in range(4):  # of one draw
        assert (first[lane::4] == 0).float().mean().item() == pytest.approx(0.1, abs=1e-3)
    assert first.unique().tolist() == pytest.approx([0, 1 / 0.9]) and first.mean().item() == pytest.approx(1, abs=1e-3)
    both = ((first == 0) & (second == 0)).float().mean().item()
    beside = ((first[1:] == 0) & (first[:-1] == 0)).float().mean().item()
    assert both == pytest.approx(0.01, abs=5e-4) and beside == pytest.approx(0.01, abs=5e-4)
    torch.manual_seed(0)
    assert torch.equal(objective._dropped(torch.ones(4_000_002), 0.1), first)


@pytest.mark.parametrize("lora", [False, True], ids=["whole", "lora"])
def test_the_curve_is_that_of_the_stock_trainer(tmp_path: Path, lora: bool) -> None:
    stock, ours = (
        trained(trainer, adapted(make()) if lora else make(), tmp_path) for trainer in (Seq2SeqTrainer, Tuner)
    )
    for theirs, mine in zip(stock, ours, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-5)
    assert ours[1][-1] < ours[1][0]


def test_in_bf16_the_curve_stays_within_what_bf16_can_tell(tmp_path: Path) -> None:
    stock, ours = (trained(trainer, make(), tmp_path, bf16=True) for trainer in (Seq2SeqTrainer, Tuner))
    full, _ = trained(Tuner, make(), tmp_path)
    assert ours[0] == pytest.approx(stock[0], rel=0.01) and ours[0] != full
    assert ours[0] == pytest.approx(full, rel=0.01)


def test_one_large_step_and_one_gathered_from_four_small_ones_learn_the_same(tmp_path: Path) -> None:
    whole = trained(Tuner, make(), tmp_path)
    small = {"per_device_train_batch_size": 6, "gradient_accumulation_steps": 4, "per_device_eval_batch_size": 2}
    gathered = trained(Tuner, make(), tmp_path, **small)
    assert gathered[0] == pytest.approx(whole[0], abs=1e-5)
    assert gathered[1] == pytest.approx(whole[1], abs=1e-5)


def test_every_pair_of_an_epoch_is_seen_and_every_batch_is_full() -> None:
    order = Grouped(list(range(5, 35)), 8, seed=3)
    first = list(order)
    assert len(order) == len(first) == 32 and set(first) == set(range(30)) and first == list(order)
    order.set_epoch(1)
    assert list(order) != first
    assert len(list(Grouped([4, 5, 6], 8, seed=0))) == 8  # fewer pairs than a batch


def test_a_model_whose_activations_are_recomputed_runs_its_own_forward(tmp_path: Path) -> None:
    model = make()
    model.activation_checkpointing_enable()
    assert not objective.covers(model) and not objective.covers(adapted(make()))
    assert trained(Tuner, model, tmp_path)[0] == pytest.approx(trained(Tuner, make(), tmp_path)[0], abs=1e-5)
