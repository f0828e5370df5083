"""The folder of a training: its checkpoint while it runs, its record when it has ended."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradbox.errors import UsageError
from gradbox.files import whole_file, write_json, write_text
from gradbox.training.records import Epoch, TrainingOptions, TrainingReport

_RECORD, _CHECKPOINT = "train.json", "checkpoint.pt"
_RESULTS = ("model.toml", "model.safetensors", "classes.txt", "log.jsonl", "report.html")


def refuse_others_files(path: Path) -> None:
    """Refuse a folder whose files a training would replace without having made them.

    Raises:
        UsageError: it holds one, or is no folder.
    """
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file: --out takes a folder")
    if (path / _RECORD).exists() or (path / _CHECKPOINT).exists():
        return
    for name in _RESULTS:
        if (path / name).exists():
            raise UsageError(
                f"{path / name} was not made by a training that ended or can go on: give another "
                "out folder, or overwrite to replace it"
            )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Make one line of whatever a damaged file of a training does to its readers.

    Raises:
        UsageError: the block failed.
    """
    try:
        yield
    except UsageError:
        raise
    except Exception as error:  # of any type: the file can hold anything
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise UsageError(
            f"{path} is damaged ({reason}): remove it to train from the start, or give another "
            "out folder"
        ) from error


@dataclass(frozen=True, eq=False, kw_only=True)
class Progress:
    """How far a training has come: its epochs, the best weights, the state of the `Trainer`."""

    epochs: tuple[Epoch, ...] = ()
    best_weights: Mapping[str, Tensor] = field(default_factory=dict)
    trainer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrainingFolder:
    """Where one call puts its results; `call` is what makes another call another one."""

    path: Path
    call: Mapping[str, Any]

    @property
    def card(self) -> Path:
        """The model card."""
        return self.path / "model.toml"

    @property
    def _record(self) -> Path:
        return self.path / _RECORD

    @property
    def checkpoint(self) -> Path:
        """The state of the last whole epoch, while the training has not ended."""
        return self.path / _CHECKPOINT

    def clear(self) -> None:
        """Forget what any call left here."""
        self._record.unlink(missing_ok=True)
        self.checkpoint.unlink(missing_ok=True)

    def report(self) -> TrainingReport | None:
        """The report of this call, None where it has not ended.

        Raises:
            UsageError: the folder holds the results of another call, or they cannot be read.
        """
        if not self._record.exists():
            return None
        with reading(self._record):
            record = json.loads(self._record.read_text("utf-8"))
            self._refuse_other(record["call"])
            lists = {name: tuple(record["report"].get(name, ())) for name in ("skipped", "notes")}
            values = {"head": "softmax"} | record["report"] | lists  # before heads, all were that
            report = TrainingReport(card=self.card, **values)
        self.checkpoint.unlink(missing_ok=True)  # of a call killed between record and removal
        return report

    def progress(self) -> Progress:
        """Where this call goes on; at the start where there is no checkpoint.

        Raises:
            UsageError: the checkpoint is another call's, or cannot be read.
        """
        if not self.checkpoint.exists():
            return Progress()
        with reading(self.checkpoint):
            saved = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            self._refuse_other(saved.pop("call"))
            epochs = tuple(Epoch(**values) for values in saved.pop("epochs"))
            return Progress(epochs=epochs, **saved)

    def save(self, progress: Progress) -> None:
        """Write the log of the epochs and the checkpoint."""
        epochs = [dataclasses.asdict(epoch) for epoch in progress.epochs]
        state = {
            "call": dict(self.call),
            "epochs": epochs,
            "best_weights": progress.best_weights,
            "trainer": progress.trainer,
        }
        # The log first: a call killed in between does the epoch again and writes the same line.
        lines = [json.dumps(epoch, allow_nan=False) + "\n" for epoch in epochs]
        write_text(self.path / "log.jsonl", "".join(lines))
        with whole_file(self.checkpoint) as partial:
            torch.save(state, partial)

    def finish(self, report: TrainingReport, about: Mapping[str, Any]) -> None:
        """Write the record, which says that the call has ended; the checkpoint is not needed."""
        values = dataclasses.asdict(report)
        del values["card"]
        write_json(self._record, {**about, "call": self.call, "report": values})
        self.checkpoint.unlink(missing_ok=True)

    def _refuse_other(self, call: Mapping[str, Any]) -> None:
        usual = dataclasses.asdict(TrainingOptions())  # of options that were new since
        now, then = ({**usual, **one} for one in (self.call, call))
        names = now.keys() | then.keys()
        different = sorted(name for name in names if now.get(name) != then.get(name))
        if different:
            raise UsageError(
                f"{self.path} holds a training with another {', '.join(different)}: give another "
                "out folder, or overwrite to throw it away"
            )
