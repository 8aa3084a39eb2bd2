"""Tasks and formats that an installed package declares as entry points are used as those of this library."""

from pathlib import Path

import pytest
from made_up_records import span_records
from rich.console import Console
from toy_distributions import write_distribution
from typer.testing import CliRunner

from nlp_inference import Predictor, Task
from nlp_inference.errors import UnknownTypeError
from nlp_training import RunConfig, load_documents, train
from nlp_training.cli import app
from nlp_training.config import GoldenConfig
from nlp_training.data import InvalidDataError
from nlp_training.data.formats import format_names, named_format
from nlp_training.data.labels import complete_task

TASK = """
from nlp_inference.tasks import TokenClassification


class ToyTagging(TokenClassification):
    name = "toy-tagging"
"""
FORMAT = """
from nlp_inference import Annotation, Document, Span
from nlp_training.data.formats import Format


def read(path, options):
    for number, line in enumerate(path.read_text().splitlines()):
        text, start, end, label = line.split("|")
        gold = Annotation(spans=(Span(start=int(start), end=int(end), label=label),))
        yield Document(id=str(number), raw_text=text, gold=gold)


def write(documents, path):
    lines = [f"{one.raw_text}|{one.gold.spans[0].start}|{one.gold.spans[0].end}|{one.gold.spans[0].label}\\n"
             for one in documents]
    path.write_text("".join(lines))


BARS = Format(name="bars", suffixes=(".bars",), suffix=".bars", read=read, write=write)
"""


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution with a task and a format, as pip would install it."""
    site = tmp_path / "site"
    (site / "toy_kinds").mkdir(parents=True)
    (site / "toy_kinds" / "__init__.py").write_text("")
    (site / "toy_kinds" / "tasks.py").write_text(TASK)
    (site / "toy_kinds" / "formats.py").write_text(FORMAT)
    write_distribution(
        site,
        "toy_kinds",
        entry_points="[nlp_inference.tasks]\ntoy-tagging = toy_kinds.tasks:ToyTagging\n\n"
        "[nlp_training.formats]\nbars = toy_kinds.formats:BARS\nbroken = toy_kinds.formats:read\n",
    )
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(Task, "members", dict(Task.members))
    return site


def bars(path: Path) -> Path:
    lines = [
        f"{one['text']}|{one['spans'][0]['start']}|{one['spans'][0]['end']}|{one['spans'][0]['label']}"
        for one in span_records("train", 16)
        if "|" not in one["text"]
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.usefixtures("toys", "fast_trainings")
def test_a_task_and_a_format_of_a_package_are_trained_with(span_run: RunConfig, tmp_path: Path) -> None:
    content = span_run.model_dump(mode="json", exclude_none=True)
    content["data"] = {"train": str(bars(tmp_path / "train.bars"))}
    content["processor"] = {"task": "toy-tagging"}
    content["training"] = {"max_steps": 2, "per_device_train_batch_size": 8}
    run = RunConfig.model_validate(content).model_copy(update={"golden": GoldenConfig(records=0)})
    model = train(run, console=Console(quiet=True)).model
    with Predictor.from_pretrained(model) as predictor:
        assert predictor.processor.task.name == "toy-tagging"
        assert type(predictor.processor.task).__module__ == "toy_kinds.tasks"
        assert len(predictor.processor.task.labels) >= 1
        [document] = predictor.predict(["Ana lives in Rome"])
    assert document.predicted is not None


@pytest.mark.usefixtures("toys")
def test_a_format_of_a_package_works_by_name_by_suffix_and_in_the_command(tmp_path: Path) -> None:
    path = bars(tmp_path / "train.bars")
    documents = load_documents(str(path))
    assert documents == load_documents({"path": str(path), "format": "bars"})
    assert {"bars", "jsonl"} <= {*format_names()}
    for words in (
        ["train.bars", "train.jsonl"],
        ["train.jsonl", "again.bars"],
        ["again.bars", "once.txt", "--to", "bars"],
    ):
        source, target, *options = words
        done = CliRunner().invoke(app, ["convert", str(tmp_path / source), str(tmp_path / target), *options])
        assert done.exit_code == 0, done.output
    assert (tmp_path / "again.bars").read_text() == path.read_text() == (tmp_path / "once.txt").read_text()


@pytest.mark.usefixtures("toys")
def test_what_is_no_format_is_named_with_its_package() -> None:
    with pytest.raises(InvalidDataError, match=r"'toy-kinds' declares the format 'broken'.*expected a .*Format"):
        named_format("broken")
    with pytest.raises(InvalidDataError, match=r"unknown format 'bar'; did you mean 'bars'\? Known: jsonl, .*, bars"):
        named_format("bar")


@pytest.mark.usefixtures("toys")
def test_an_unknown_task_is_told_with_those_of_packages() -> None:
    with pytest.raises(UnknownTypeError, match=r"unknown task 'toy-taging'; did you mean 'toy-tagging'\?"):
        complete_task("toy-taging", [])
