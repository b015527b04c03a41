"""Several processes train a run together: the same losses as one, and one record."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from dialogues.dialogue import Dataset
from prompting.model import Decoding, load
from tuning import accelerator, jobs
from tuning.plan import propose
from tuning.ranks import LAUNCH
from tuning.runs import CANCELLED, FAILED, FINISHED, TRAIN, Run, create
from tuning.trainer import arguments

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 180.0


@pytest.fixture(scope="module")
def make_run(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, chats: Dataset) -> Callable[..., Run]:
    """Runs of a model without dropout, whose random numbers differ by process. 53 pairs: no whole number of batches."""
    model = tmp_path_factory.mktemp("plain") / "model"
    shutil.copytree(tiny_model, model)
    settings = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**settings, "dropout_rate": 0.0}))
    train = chats.splits["train"]
    odd = (*train[:25], *(replace(example, references=example.references[:1]) for example in train[25:]))
    data = Dataset(chats.name, {**chats.splits, "train": odd})
    root = tmp_path_factory.mktemp("ranks")

    def make(method: str = "full", **changes: object) -> Run:
        plan = propose(data, str(model), method, "quick", precision="fp32", learning_rate=1e-3)
        return create(root, replace(plan, **changes), data, "test", "owner")  # type: ignore[arg-type]

    return make


def train(run: Run, processes: int) -> subprocess.Popen[bytes]:
    several = [*LAUNCH, str(processes)] if processes > 1 else []
    with run.log().open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *several, "-m", "tuning.train", str(run.folder)],
            cwd=ROOT, stdout=log, stderr=log, start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip


def finished(run: Run, processes: int) -> Run:
    train(run, processes).wait(PATIENCE)
    assert run.progress().state == FINISHED, (run.progress().message, run.log_tail(40))
    return run


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_two_processes_learn_what_one_learns_and_leave_one_record(make_run: Callable[..., Run], method: str) -> None:
    alone, both = finished(make_run(method), 1), finished(make_run(method), 2)
    for ours, theirs in (
        (both.progress().loss_curve, alone.progress().loss_curve),
        (both.progress().validation_curve, alone.progress().validation_curve),
    ):
        assert [step for step, _ in ours] == [step for step, _ in theirs]  # none of them twice
        assert [loss for _, loss in ours] == pytest.approx([loss for _, loss in theirs], abs=1e-5)
    assert both.progress().loss_curve[-1][1] < both.progress().loss_curve[0][1] - 0.1
    assert both.checkpoints()[1:] and len(both.checkpoints()) == len(alone.checkpoints())
    assert both.log_tail(200).count("step 3  loss") == 1
    assert {path.name for path in both.folder.rglob("*.pt*")} == set()
    last = both.checkpoints()[-1].step
    said = [load(run.checkpoint_source(last)).summarize(["Hello"], Decoding(8))[0].text for run in (alone, both)]
    assert said[0] == said[1]


@pytest.mark.slow
def test_two_processes_that_are_stopped_go_on_with_the_same_losses(make_run: Callable[..., Run]) -> None:
    unbroken, run = finished(make_run(), 2), make_run()
    process = train(run, 2)
    end = time.monotonic() + PATIENCE
    while run.resume_step() < 5:
        assert time.monotonic() < end and process.poll() is None, run.log_tail()
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    assert run.progress().state == CANCELLED, run.log_tail(40)
    finished(run, 2)
    for ours, theirs in (
        (run.progress().loss_curve, unbroken.progress().loss_curve),
        (run.progress().validation_curve, unbroken.progress().validation_curve),
    ):
        assert [step for step, _ in ours] == [step for step, _ in theirs]
        assert [loss for _, loss in ours] == pytest.approx([loss for _, loss in theirs], abs=1e-6)


# The child itself, told of two GPUs; the processes that it starts look for themselves, and find none.
WITH_TWO_GPUS = (
    "import sys; from tuning import accelerator, train; accelerator.gpus = lambda: 2; sys.exit(train.main(sys.argv[1]))"
)


def start_with_two_gpus(run: Run) -> subprocess.Popen[bytes]:
    with run.log().open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", WITH_TWO_GPUS, str(run.folder)],
            cwd=ROOT, stdout=log, stderr=log, start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    run.note_process(TRAIN, process.pid)  # as whoever starts a run does
    return process


@pytest.mark.slow
def test_a_plan_uses_all_gpus_of_the_machine_learns_the_same_and_the_line_goes_on(make_run: Callable[..., Run]) -> None:
    alone, both, after = finished(make_run(), 1), make_run(), make_run()
    process = start_with_two_gpus(both)
    jobs.enqueue(after)
    assert after.ticket()
    assert process.wait(PATIENCE) == 0 and both.progress().state == FINISHED, both.log_tail(40)
    ours, theirs = (dict(run.progress().loss_curve) for run in (both, alone))
    assert ours == pytest.approx(theirs, abs=1e-5)
    assert both.log_tail(200).count("step 3  loss") == 1
    assert jobs.wait(after, PATIENCE) and after.progress().state == FINISHED, after.log_tail(40)


@pytest.mark.slow
@pytest.mark.parametrize("early", [True, False], ids=["before they are there", "while they train"])
def test_processes_that_train_together_are_cancelled_as_one(make_run: Callable[..., Run], early: bool) -> None:
    run = make_run(steps=100_000)
    process = start_with_two_gpus(run)
    end = time.monotonic() + PATIENCE
    while not (early or run.progress().step >= 3):
        assert time.monotonic() < end and process.poll() is None, run.log_tail()
        time.sleep(0.1)
    if early:
        time.sleep(4.0)
    jobs.cancel(run)
    process.wait(PATIENCE)
    while not run.progress().over:
        assert time.monotonic() < end, run.log_tail()
        time.sleep(0.1)
    assert run.progress().state == CANCELLED, (run.progress().message, run.log_tail(40))
    left = [one for one in psutil.process_iter(["cmdline"]) if str(run.folder) in (one.info["cmdline"] or [])]
    assert left == []


@pytest.mark.parametrize(("pairs", "gpus", "count"), [(8, 0, 1), (8, 1, 1), (8, 3, 2), (8, 8, 8), (7, 4, 1), (9, 8, 3)])
def test_as_many_gpus_are_used_as_can_share_a_step_evenly(
    monkeypatch: pytest.MonkeyPatch, pairs: int, gpus: int, count: int
) -> None:
    monkeypatch.setattr(accelerator, "gpus", lambda: gpus)
    assert accelerator.processes(pairs) == count


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_evenly_is_refused_with_what_to_choose(make_run: Callable[..., Run]) -> None:
    run = make_run(batch_size=7)
    train(run, 2).wait(PATIENCE)
    assert run.progress().state == FAILED
    assert "cannot share 7 pairs" in run.progress().message and "multiple" in run.progress().message


@pytest.mark.slow
def test_a_run_one_of_whose_processes_is_killed_does_not_say_it_was_cancelled(make_run: Callable[..., Run]) -> None:
    run = make_run(steps=100_000)
    process = train(run, 2)
    end = time.monotonic() + PATIENCE
    while run.progress().step < 3:
        assert time.monotonic() < end and process.poll() is None, run.log_tail()
        time.sleep(0.1)
    first = json.loads((run.folder / "train-process.json").read_text())["pid"]
    workers = [
        child for child in psutil.Process(process.pid).children(recursive=True) if "tuning.train" in child.cmdline()
    ]
    next(child for child in workers if child.pid != first).kill()
    process.wait(PATIENCE)
    assert run.progress().state == FAILED and "Another process" in run.progress().message, run.progress().message


def test_the_fsdp_settings_are_read_by_accelerate_and_wrap_the_blocks_of_flan_t5(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils import FullyShardedDataParallelPlugin
    from accelerate.utils.launch import prepare_multi_gpu_env
    from transformers import T5ForConditionalGeneration
    from transformers.models.t5.modeling_t5 import T5Block

    settings = str(ROOT / "assets" / "fsdp.yaml")
    assert load_config_from_file(settings).distributed_type == "FSDP"
    words = ["--config_file", settings, "--num_processes", "2", "-m", "tuning.train", "RUN"]
    args, _, _ = _validate_launch_command(launch_command_parser().parse_args(words))
    assert args.use_fsdp and args.num_processes == 2
    for name, value in prepare_multi_gpu_env(args).items():
        if name.startswith(("FSDP_", "ACCELERATE_USE_FSDP")):
            monkeypatch.setenv(name, value)
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2 and plugin.transformer_cls_names_to_wrap == ["T5Block"]
    assert plugin.activation_checkpointing and plugin.state_dict_type.name == "SHARDED_STATE_DICT"
    assert T5ForConditionalGeneration._no_split_modules == [T5Block.__name__]


def test_what_needs_it_recomputes_activations_and_shards_use_an_optimizer_that_knows_them(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = arguments(make_run(), validate_first=False)
    large = arguments(make_run(base_model="google/flan-t5-xl"), validate_first=False)
    assert (small.activation_checkpointing, large.activation_checkpointing) == (False, True)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setattr("tuning.trainer.is_fsdp_enabled", lambda: True)  # asks for a process group as well
    shared = arguments(make_run(base_model="google/flan-t5-xl"), validate_first=False)
    assert not shared.activation_checkpointing and (shared.optim, large.optim) == ("adamw_torch_fused", "adafactor")
    assert small.optim == "adamw_torch_fused"  # two more numbers for each of a small model's cost little and save time
