"""Repetition of a run from its folder, and the comparison of the results."""

from pathlib import Path

from rich.console import Console

from nlp_inference.errors import NlpInferenceError
from nlp_training.config import load_config
from nlp_training.provenance.environment import world_size
from nlp_training.provenance.manifest import CONFIG_FILE, DataPrint, RunManifest
from nlp_training.provenance.pinned_data import pin_data
from nlp_training.runs.record import data_prints
from nlp_training.runs.reproduction import Reproduction, compare_with_original, data_rows
from nlp_training.runs.run import train
from nlp_training.trainer.splits import load_splits


class NotComparableError(NlpInferenceError):
    """A run cannot be repeated on this machine such that the results are comparable."""


def reproduce(
    run: str | Path, *, output_dir: str | Path, console: Console | None = None, stays: bool = True
) -> Reproduction:
    """Train a run again from its `config.yaml`, and compare weights, processor and scores.

    Paths in the configuration are relative to the working directory, as in the run. No tracker is used.

    Args:
        run: the folder of a finished run.
        output_dir: the folder for the repetition, which gets a subfolder with the name of the run.
        console: the console for progress and tables.
        stays: whether the repetition is kept; see `nlp_training.runs.run.train`.

    Raises:
        NotComparableError: the run did not finish, started from a checkpoint of another run, used a different number of
            processes, or its documents changed.
        NlpInferenceError: the manifest, the configuration or the data cannot be read, or the run cannot be trained.
    """
    run = Path(run)
    old = RunManifest.load(run)
    config = load_config(run / CONFIG_FILE)
    config = config.model_copy(
        update={"output_dir": str(output_dir), "training": config.training | {"report_to": "none"}}
    )
    _check_repeatable(old, run)
    if config.folder.resolve() == run.resolve():
        raise NotComparableError(f"the repetition would replace the run in {str(run)!r}; pass another --output-dir")
    config = pin_data(config)
    _check_data(old, data_prints(config, load_splits(config)))
    train(config, console=console, stays=stays)
    return compare_with_original(run, config.folder)


def _check_repeatable(old: RunManifest, run: Path) -> None:
    if old.status != "finished":
        raise NotComparableError(
            f"the run in {str(run)!r} is {old.status!r} and has no results to compare with; finish it first: "
            f"nlp-training train {run / CONFIG_FILE} --resume"
        )
    if old.from_checkpoint is not None:
        raise NotComparableError(
            f"the run in {str(run)!r} started from {old.from_checkpoint!r}, which may have been trained with another "
            "configuration; only a run that started without a checkpoint can be repeated"
        )
    here = world_size()
    if old.world_size != here:
        several = f"accelerate launch --num_processes {old.world_size} -m nlp_training.cli reproduce {run}"
        start = f"{several} --output-dir DIR" if old.world_size > 1 else f"nlp-training reproduce {run}"
        raise NotComparableError(
            f"the run in {str(run)!r} had {old.world_size} process(es), but this command has {here}, which divide the "
            f"data differently; start as many processes: {start}"
        )


def _check_data(old: RunManifest, found: dict[str, DataPrint]) -> None:
    changed = [row for row in data_rows(old.data, found) if not row.same]
    if changed:
        differences = "; ".join(f"{row.name} had {row.before}, and now has {row.now}" for row in changed)
        raise NotComparableError(
            f"the documents differ from those of the run: {differences}; restore them, or train a new run"
        )
