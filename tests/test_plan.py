"""The plan: few choices in, everything else follows, and all that is wrong is refused at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dialogues.dialogue import Dataset
from tuning.plan import SIZES, Plan, PlanRefused, check, disk_bytes, propose


@pytest.fixture
def plan(chats: Dataset, tiny_model: Path) -> Plan:
    return propose(chats, str(tiny_model), "full", "quick", precision="fp32")


def test_a_plan_follows_from_a_few_choices(plan: Plan) -> None:
    assert plan.steps == 21  # 3 times over 28 chats x 2 references in eights
    assert (plan.batch_size, plan.window, plan.learning_rate, plan.template) == (8, 512, 6e-4, "summarize")


def test_large_data_do_not_make_an_endless_run(chats: Dataset, tiny_model: Path) -> None:
    large = Dataset("large", {**chats.splits, "train": chats.splits["train"] * 500})
    for size, notch in SIZES.items():
        assert propose(large, str(tiny_model), "lora", size).steps == notch.most_steps


@pytest.mark.parametrize(
    ("base", "method", "rate"),
    [("google/flan-t5-small", "full", 3e-4), ("google/flan-t5-xl", "lora", 1e-3)],
)
def test_a_hub_model_can_be_planned_before_it_is_fetched(chats: Dataset, base: str, method: str, rate: float) -> None:
    assert propose(chats, base, method, "standard").learning_rate == rate


def test_checkpoints_are_even_and_end_with_the_last_step(plan: Plan) -> None:
    assert plan.checkpoints == (5, 10, 16, 21)
    assert replace(plan, size="standard", steps=900).checkpoints == (180, 360, 540, 720, 900)
    assert replace(plan, size="thorough", steps=2400).checkpoints == tuple(range(300, 2401, 300))
    assert replace(plan, steps=1).checkpoints == (1,)


def test_a_plan_survives_json(plan: Plan) -> None:
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_template_is_one_of_ours_or_a_pattern(plan: Plan) -> None:
    assert plan.prompt.pattern.startswith("Summarize the following")
    assert replace(plan, template="TL;DR {dialogue}").prompt.pattern == "TL;DR {dialogue}"


def test_fp16_is_refused_with_the_reason(plan: Plan, chats: Dataset) -> None:
    with pytest.raises(PlanRefused, match=r"overflows in fp16.*bf16 or fp32"):
        check(replace(plan, precision="fp16"), chats)


def test_everything_wrong_is_told_at_once(chats: Dataset) -> None:
    few = Dataset("few", {"train": chats.splits["train"][:3], "validation": (), "test": ()})
    with pytest.raises(PlanRefused) as refused:
        propose(few, "/no/such/model", "qlora", "huge", "no place for the chat", precision="fp16")
    fields = [problem.field for problem in refused.value.problems]
    assert sorted(fields) == ["method", "model", "precision", "size", "template", "test", "train"]
    assert all(problem.remedy for problem in refused.value.problems)


def test_training_chats_without_a_summary_are_refused(plan: Plan, chats: Dataset) -> None:
    train = (replace(chats.splits["train"][0], references=()), *chats.splits["train"][1:])
    with pytest.raises(PlanRefused, match="1 training chat"):
        check(plan, Dataset("bare", {**chats.splits, "train": train}))


@pytest.mark.parametrize("field", ["steps", "batch_size", "learning_rate", "window"])
def test_nothing_may_be_zero(plan: Plan, chats: Dataset, field: str) -> None:
    with pytest.raises(PlanRefused, match="above zero"):
        check(Plan.from_json({**plan.to_json(), field: 0}), chats)


@pytest.mark.parametrize(
    ("field", "value", "most"),
    [
        ("steps", 10**12, "10,000,000"),
        ("batch_size", 20_000, "4,096"),
        ("window", 10**5, "8,192"),
        ("learning_rate", float("inf"), "1"),
        ("learning_rate", float("nan"), "1"),
    ],
)
def test_nothing_may_be_beyond_all_use(plan: Plan, chats: Dataset, field: str, value: float, most: str) -> None:
    with pytest.raises(PlanRefused, match=f"is {value}. It must be above zero and at most {most}") as refused:
        check(replace(plan, **{field: value}), chats)  # type: ignore[arg-type]
    assert [problem.field for problem in refused.value.problems] == [field]


def test_what_one_chooses_oneself_is_taken_and_the_rest_follows(chats: Dataset, tiny_model: Path) -> None:
    plan = propose(chats, str(tiny_model), "full", "quick", batch_size=4, learning_rate=None, window=256)
    assert (plan.batch_size, plan.steps, plan.learning_rate, plan.window) == (4, 42, 6e-4, 256)
    with pytest.raises(PlanRefused, match="above zero"):
        propose(chats, str(tiny_model), "full", "quick", batch_size=0)


def test_a_disk_too_small_for_the_checkpoints_is_refused_before_anything_is_written(
    chats: Dataset, tiny_model: Path
) -> None:
    full, lora = (propose(chats, "google/flan-t5-base", method, "quick") for method in ("full", "lora"))
    assert disk_bytes(full, 247_577_856) == pytest.approx(5 * 0.99e9, rel=0.01)
    assert disk_bytes(full, 76_961_152) == pytest.approx(7 * 0.31e9, rel=0.01)  # with what AdamW is resumed from
    check(lora, chats, free_bytes=10**9)
    with pytest.raises(PlanRefused, match=r"5.0 GB and the disk has 1.0 GB left.*LoRA"):
        check(full, chats, free_bytes=10**9)


def test_a_window_that_cuts_too_many_summaries_is_refused(plan: Plan, chats: Dataset) -> None:
    check(replace(plan, window=400), chats)
    with pytest.raises(PlanRefused, match=r"of 56 summaries are longer than the window of 10 tokens"):
        check(replace(plan, window=10), chats)
