"""k folds: every document is predicted once, by a model that was not trained on it."""

import gc
import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from made_up_records import label_records, write_jsonl
from rich.console import Console
from scipy.stats import ttest_1samp
from typer.testing import CliRunner

from nlp_inference import Document
from nlp_inference.errors import InvalidSpecError, OutputError
from nlp_training import DocumentTrainer, RunConfig
from nlp_training.cli import app
from nlp_training.config import save_config
from nlp_training.cross_validation.folds import FoldSettings, make_folds
from nlp_training.cross_validation.run import CrossValidation, cross_validate
from nlp_training.data import InvalidDataError, load_documents
from nlp_training.metrics.fold_interval import fold_interval
from nlp_training.runs.materials import Materials


@pytest.fixture(autouse=True, scope="module")
def libraries_are_no_garbage() -> Iterator[None]:
    """Each training collects garbage; looking through all imported libraries takes longer than a tiny training."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def run(label_run: RunConfig, tmp_path: Path) -> RunConfig:
    """One epoch on twelve documents of three sources, two labels; its test set is not there."""
    records = [{**one, "source": place // 2} for place, one in enumerate(label_records("train", 12))]
    content = label_run.model_dump(exclude_none=True)
    content["data"] = {"train": str(write_jsonl(tmp_path / "few.jsonl", records)), "test": "not/there.jsonl"}
    content["training"] |= {"num_train_epochs": 1, "per_device_train_batch_size": 4}
    return RunConfig.model_validate(content)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[set[str]]]:
    """The ids of the documents of each training."""
    seen: list[set[str]] = []
    train = DocumentTrainer.train

    def remember(self: DocumentTrainer, **options: object) -> object:
        seen.append({document.id for document in self.train_dataset})
        return train(self, **options)

    monkeypatch.setattr(DocumentTrainer, "train", remember)
    return seen


def quietly(config: RunConfig, settings: FoldSettings) -> CrossValidation:
    return cross_validate(config, settings, console=Console(file=StringIO(), width=100))


def test_every_document_is_predicted_once_by_a_model_that_has_not_seen_it(
    run: RunConfig, trained: list[set[str]]
) -> None:
    found = quietly(run, FoldSettings(folds=3))
    documents = load_documents(run.data.train)
    predicted = load_documents(str(found.predictions))
    assert [one.id for one in predicted] == [one.id for one in documents]
    assert [one.gold for one in predicted] == [one.gold for one in documents]
    assert all(one.predicted is not None for one in predicted)
    folds = run.folder / "folds"
    for number, seen in enumerate(trained, 1):
        tested = load_documents(str(folds / f"fold-{number}" / "predictions.jsonl"))
        assert len(tested) == 4
        assert {one.id for one in tested} | seen == {one.id for one in documents}
        assert not {one.id for one in tested} & seen
        assert sorted(one.gold.categories[0].label for one in tested) == ["farewell"] * 2 + ["greeting"] * 2
        assert {path.name for path in (folds / f"fold-{number}").iterdir()} >= {"metrics.json", "predictions.jsonl"}
    assert json.loads((folds / "metrics.json").read_text()) == found.to_json()
    right = sum(one.predicted.categories[0].label == one.gold.categories[0].label for one in predicted)
    assert found.pooled["accuracy"] == right / 12
    assert found.pooled["coverage"]["documents"] == 12
    of_folds = [one["accuracy"] for one in found.folds]
    assert found.mean["accuracy"]["mean"] == pytest.approx(sum(of_folds) / 3)
    assert found.mean["accuracy"]["interval"] == fold_interval(of_folds)


def test_folds_that_are_done_are_not_trained_again(
    run: RunConfig, trained: list[set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    score, scored = DocumentTrainer.score_documents, []

    def dies_in_the_second_fold(self: DocumentTrainer, documents: list[Document], **options: object) -> object:
        scored.append(len(documents))
        if len(scored) == 2:
            raise KeyboardInterrupt
        return score(self, documents, **options)

    with monkeypatch.context() as patch:
        patch.setattr(DocumentTrainer, "score_documents", dies_in_the_second_fold)
        with pytest.raises(KeyboardInterrupt):
            quietly(run, FoldSettings(folds=2))
    assert len(trained) == 2
    first = quietly(run, FoldSettings(folds=2))
    assert len(trained) == 3  # the second, again
    assert quietly(run, FoldSettings(folds=2)) == first
    assert len(trained) == 3
    other = run.model_copy(update={"training": {**run.training, "learning_rate": 0.001}})
    with pytest.raises(
        OutputError, match=r"fold-1' contains a completed fold of another configuration.*2 of 2.*--overwrite"
    ):
        quietly(other, FoldSettings(folds=2))
    assert len(trained) == 3
    cross_validate(other, FoldSettings(folds=2), console=Console(quiet=True), overwrite=True)
    assert len(trained) == 5


def test_the_weights_of_a_fold_are_chosen_on_validation_and_never_on_the_fold(
    run: RunConfig, trained: list[set[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated: list[set[str]] = []
    evaluate = DocumentTrainer.evaluate

    def remember(self: DocumentTrainer, *args: object, **options: object) -> object:
        evaluated.append({document.id for document in self.eval_dataset})
        return evaluate(self, *args, **options)

    monkeypatch.setattr(DocumentTrainer, "evaluate", remember)
    content = run.model_dump(exclude_none=True)
    content["data"]["validation"] = str(write_jsonl(tmp_path / "v.jsonl", label_records("validation", 4)))
    content["calibrate"] = True
    found = quietly(RunConfig.model_validate(content), FoldSettings(folds=2))
    assert evaluated == [{f"validation-{number}" for number in range(4)}] * 2
    assert [len(ids) for ids in trained] == [6, 6]
    assert "calibration" in found.pooled
    assert not list((run.folder / "folds").rglob("checkpoint*"))


@pytest.mark.parametrize("stratify", [True, False])
def test_documents_of_a_group_are_in_one_fold(run: RunConfig, stratify: bool) -> None:
    documents = Materials.of(run).train
    folds = make_folds(documents, run, FoldSettings(3, stratify=stratify, group_by="metadata.source"))
    groups = [{documents[place].metadata["source"] for place in fold.tested} for fold in folds]
    assert [len(group) for group in groups] == [2, 2, 2]
    assert set.union(*groups) == set(range(6))
    assert all(sorted([*fold.tested, *fold.trained]) == list(range(12)) for fold in folds)


def test_the_same_seed_divides_alike_and_another_does_not(run: RunConfig) -> None:
    documents = Materials.of(run).train

    def tested(seed: int) -> list[list[int]]:
        return [
            list(fold.tested) for fold in make_folds(documents, run.model_copy(update={"seed": seed}), FoldSettings())
        ]

    assert tested(1) == tested(1) != tested(2)


def test_too_few_folds_or_documents_are_refused(run: RunConfig) -> None:
    with pytest.raises(InvalidSpecError, match="folds is 1"):
        quietly(run, FoldSettings(folds=1))
    with pytest.raises(InvalidDataError, match="would be empty: there are 12 documents"):
        quietly(run, FoldSettings(folds=13))


def test_the_interval_of_the_folds_is_students_widened_by_what_they_share() -> None:
    scores = [0.81, 0.86, 0.79, 0.90, 0.84]
    low, high = ttest_1samp(scores, 0).confidence_interval(0.95)
    mean = sum(scores) / 5
    wider = ((1 / 5 + 1 / 4) / (1 / 5)) ** 0.5
    assert fold_interval(scores) == pytest.approx([mean - (mean - low) * wider, mean + (high - mean) * wider])


def test_the_command_says_everything_as_json(run: RunConfig, tmp_path: Path) -> None:
    save_config(run, tmp_path / "run.yaml")
    command = ["cross-validate", str(tmp_path / "run.yaml"), "--folds", "2", "--group-by", "metadata.source", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert [one["coverage"]["documents"] for one in said["folds"]] == [6, 6]
    assert set(said["mean"]) == {"accuracy", "macro_f1"}
