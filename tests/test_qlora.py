"""QLoRA: refused where it cannot be, counted where it can; with bitsandbytes at hand it really trains, here on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dialogues.dialogue import Dataset
from tuning import accelerator, jobs
from tuning.forecast import FOUR_BITS, PROCESS, WHOLE, forecast
from tuning.plan import LORA, QLORA, RANK, PlanRefused, adapter_parameters, disk_bytes, propose
from tuning.runs import CANCELLED, FINISHED, Run, create
from tuning.trainer import arguments
from ui import tune_tab

PATIENCE = 180.0
SHAPES = {  # width, head width, feed-forward, layers each side, heads
    "google/flan-t5-large": (1024, 64, 2816, 24, 16),
    "google/flan-t5-xl": (2048, 64, 5120, 24, 32),
    "google/flan-t5-xxl": (4096, 64, 10240, 24, 64),
}


@pytest.fixture
def possible(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU and the library, as far as plans can see."""
    monkeypatch.setattr("tuning.plan.no_qlora", lambda: "")
    monkeypatch.setattr("ui.tune_tab.no_qlora", lambda: "")


@pytest.mark.parametrize(("gpus", "library", "words"), [(0, True, "an NVIDIA GPU"), (1, False, "pip install")])
def test_without_a_gpu_or_the_library_it_is_refused_with_what_to_choose_instead(
    chats: Dataset, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, library: bool, words: str
) -> None:
    monkeypatch.setattr(accelerator, "gpus", lambda: gpus)
    monkeypatch.setattr(accelerator, "find_spec", lambda name: library or None)
    with pytest.raises(PlanRefused, match=words) as refused:
        propose(chats, str(tiny_model), QLORA, "quick", precision="fp32")
    assert [(one.field, one.remedy) for one in refused.value.problems] == [("method", "Choose lora.")]
    assert QLORA not in [value for _, value in tune_tab._methods().choices]


def test_the_screen_offers_it_where_it_can_be_used(possible: None) -> None:
    assert [value for _, value in tune_tab._methods().choices] == ["full", "lora", "qlora"]


@pytest.mark.parametrize("name", SHAPES)
def test_the_memory_counted_is_that_of_the_true_shape(name: str, chats: Dataset, possible: None) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import T5Config, T5ForConditionalGeneration
    from transformers.quantizers.base import get_keys_to_not_convert

    width, head, inner, layers, heads = SHAPES[name]
    with torch.device("meta"):
        model = T5ForConditionalGeneration(
            T5Config(vocab_size=32128, d_model=width, d_kv=head, d_ff=inner, num_layers=layers, num_heads=heads,
                     feed_forward_proj="gated-gelu", tie_word_embeddings=False)
        )  # fmt: skip
        skipped = (*get_keys_to_not_convert(model), *model._keep_in_fp32_modules)
        linear = [(n, m) for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
        packed = sum(m.weight.numel() for n, m in linear if not any(part in skipped for part in n.split(".")))
        count = (
            sum(tensor.numel() for tensor in model.state_dict().values()) - 2 * 32128 * width
        )  # the table four times
        names = ["q", "k", "v", "o", "wi_0", "wi_1", "wo"]
        adapter = get_peft_model(model, LoraConfig(r=RANK, target_modules=names)).get_nb_trainable_parameters()[0]
    plan = propose(chats, name, QLORA, "quick", precision="bf16")
    known = forecast(plan, chats)
    assert known.parameters == count and 1 - packed / count == pytest.approx(WHOLE, abs=0.06)
    assert adapter <= adapter_parameters(count) < 1.4 * adapter
    exact = 2 * (count - packed) + FOUR_BITS * packed + 10 * adapter  # weights, gradients and two bytes of AdamW
    lora = forecast(replace(plan, method=LORA), chats).memory_bytes or 0
    kept = lora - PROCESS - 4 * count  # of a step, whatever the method
    held = (known.memory_bytes or 0) - PROCESS - kept
    assert held == pytest.approx(exact, rel=0.15) and held < 4 * count / 3
    assert disk_bytes(plan, count) == disk_bytes(replace(plan, method=LORA), count)


@pytest.fixture
def make_run(tmp_path: Path, chats: Dataset) -> Callable[..., Run]:
    """Runs of the bundled model: bitsandbytes packs no matrix narrower than 32 on a CPU.

    Nothing is validated: it packs weights anew for each look without gradients there, which rounds them otherwise.
    """
    data = Dataset("unvalidated", {**chats.splits, "validation": ()})

    def make(**changes: object) -> Run:
        plan = replace(propose(data, method=LORA, size="quick", precision="fp32", batch_size=2), steps=8)
        plan = replace(plan, method=QLORA, **changes)  # type: ignore[arg-type]
        return create(tmp_path / "runs", plan, data, "test", "owner")

    return make


def test_the_optimizer_is_the_one_of_eight_bits_and_shards_are_refused(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert arguments(make_run(), validate_first=False).optim == "adamw_8bit"
    monkeypatch.setattr("tuning.trainer.is_fsdp_enabled", lambda: True)
    with pytest.raises(jobs.RunRefused, match="four bits cannot be put into shards"):
        arguments(make_run(), validate_first=False)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_learns_and_leaves_an_adapter_that_the_whole_model_can_wear(
    make_run: Callable[..., Run], precision: str
) -> None:
    pytest.importorskip("bitsandbytes", reason="an extra: pip install bitsandbytes")
    from prompting.model import Decoding, load

    run = make_run(precision=precision)
    jobs.start(run)
    assert jobs.wait(run, PATIENCE) and run.progress().state == FINISHED, run.log_tail(40)
    losses = [loss for _, loss in run.progress().loss_curve]
    assert sum(losses[4:]) < sum(losses[:4])
    assert (run.checkpoint_folder(8) / "adapter_model.safetensors").is_file()
    assert load(run.checkpoint_source(8)).summarize(["Hello"], Decoding(8))


@pytest.mark.slow
def test_stopped_and_resumed_it_ends_with_the_losses_of_an_unbroken_run(make_run: Callable[..., Run]) -> None:
    pytest.importorskip("bitsandbytes", reason="an extra: pip install bitsandbytes")
    unbroken, run = make_run(), make_run()
    jobs.start(unbroken)
    assert jobs.wait(unbroken, PATIENCE)
    jobs.start(run)
    while not run.resume_step():
        assert run.alive("train"), run.log_tail(40)
    jobs.cancel(run)
    assert jobs.wait(run, PATIENCE) and run.progress().state == CANCELLED
    jobs.resume(run)
    assert jobs.wait(run, PATIENCE)
    assert run.progress().state == unbroken.progress().state == FINISHED
    assert dict(run.progress().loss_curve) == pytest.approx(dict(unbroken.progress().loss_curve), abs=1e-6)
