"""The child process: tunes the model of a run folder, and says there truthfully how far it is and how it ended."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path

from transformers import DataCollatorForSeq2Seq, PrinterCallback, set_seed

from dialogues.dialogue import Refused
from prompting.model import open_tokenizer
from prompting.source import check_base, find
from tuning import jobs
from tuning.plan import VALIDATED
from tuning.ranks import alone, company, leads, seat, share, start_together
from tuning.rehearsal import CHATS, SAME, answers, have_scored, save_and_reload
from tuning.reporter import Reporter, Stopped, reason
from tuning.runs import CANCELLED, CANCELLED_WORDS, FAILED, FINISHED, RUNNING, TRAIN, Run
from tuning.trainer import DivergedError, Keeper, Tuner, arguments
from tuning.warmup import encode_pairs, trainable


def main(folder: str, elsewhere: str = "") -> int:
    """`python -m tuning.train RUN_FOLDER`: trains that run on from its last whole checkpoint, on all GPUs of this machine.

    0 when it finished, 1 when it was stopped or failed. A second word says that this is not the machine of the app.
    """
    path, here = Path(folder), not elsewhere
    count = company(Run(path).plan.batch_size) if here else 1
    try:
        return start_together(path, count) if count > 1 else _work(path, noted=here)
    finally:
        if here and (count > 1 or alone()):  # else its surroundings would make the next run believe that it has company
            jobs.advance(path.parent)  # whoever waits goes on, also where the app is gone


def _work(folder: Path, noted: bool) -> int:
    run = seat(folder)
    if noted:
        run.note_process(TRAIN, os.getpid())
    reporter = Reporter(run)
    signal.signal(signal.SIGTERM, reporter.stop)
    return _told(run, reporter)


def _told(run: Run, reporter: Reporter) -> int:
    """Train, and write how it ended."""
    try:
        message = train(run, reporter)
    except Stopped:
        reporter.say(state=CANCELLED, message=CANCELLED_WORDS, eta_seconds=None)
        return 1
    except BaseException as error:  # whatever it is, the folder has to tell it
        traceback.print_exc()
        hopeless = "It would end the same way again." if isinstance(error, (Refused, DivergedError)) else ""
        reporter.say(state=FAILED, message=reason(error), eta_seconds=None, no_resume=hopeless)
        return 1
    reporter.say(state=FINISHED, message=message, eta_seconds=0.0)
    run.forget_resume(before=None)
    return 0


def train(run: Run, reporter: Reporter) -> str:
    """Load, encode, rehearse, tune; the reporter keeps the curves. Returns how it ended, in a sentence."""
    plan, dataset = run.plan, run.dataset
    share(plan.batch_size)
    set_seed(plan.seed)
    reporter.say(state=RUNNING, message="Loading the base model…", started=time.time())
    source = find(plan.base_model, say=lambda words: reporter.say(message=words))
    tokenizer = open_tokenizer(source.folder)
    model = trainable(source, plan)
    reporter.say(message="Reading the chats…")
    pairs = encode_pairs(dataset.splits["train"], plan, tokenizer)
    held_out = encode_pairs(dataset.splits["validation"][:VALIDATED], plan, tokenizer, references=1)
    since = run.resume_step()
    if since:
        check_base(find(str(run.checkpoint_folder(since))))
    run.rewind(since)
    reporter.validates = bool(held_out)
    keeper = Keeper(run, source, model)
    reporter.say(message="Trying out answering and saving…")
    tried = (dataset.splits["validation"] or dataset.splits["train"])[:CHATS]
    asked = [plan.prompt.render(example.dialogue) for example in tried]
    before = answers(model, tokenizer, asked, plan.window) if leads() else []
    if leads():
        have_scored(tried, before, run.rehearsal_folder)
        save_and_reload(keeper, model, run.rehearsal_folder)
    trainer = Tuner(
        model=model,
        args=arguments(run, bool(held_out) and not run.validated(since)),
        train_dataset=pairs,
        eval_dataset=held_out or None,  # a list is a map-style data set, too
        data_collator=DataCollatorForSeq2Seq(tokenizer),  # pads to the batch's longest; labels with -100
        processing_class=tokenizer,
        callbacks=[reporter],
    )
    trainer.keep, trainer.seal = keeper.keep, run.seal
    trainer.remove_callback(PrinterCallback)  # the reporter writes the log, in words
    reporter.say(message=f"Resumed from checkpoint {since}." if since else "")
    trainer.train(resume_from_checkpoint=str(run.checkpoint_folder(since)) if since else None)
    if trainer.state.global_step < plan.steps:
        raise Stopped
    same = leads() and not trainer.is_fsdp_enabled and answers(model, tokenizer, asked, plan.window) == before
    return SAME.format(count=len(asked)) if same else "Finished."


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
