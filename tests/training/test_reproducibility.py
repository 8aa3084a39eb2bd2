"""What a run's folder says about it, and `nlp-training reproduce`, which takes it at its word."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up_records import span_records, write_jsonl
from rich.console import Console
from typer.testing import CliRunner

import nlp_training.runs.reproduce as reproduce_module
from nlp_inference._utils.digests import file_digest
from nlp_inference.errors import ArtefactError, InvalidSpecError
from nlp_training import RunConfig, load_config, load_documents, train
from nlp_training._utils.complete_checkpoints import is_complete, last_complete, mark_complete, remove_after
from nlp_training.cli import app
from nlp_training.config import GoldenConfig, save_config
from nlp_training.data.fingerprint import documents_sha256
from nlp_training.provenance import code_state
from nlp_training.provenance.manifest import Checkout, CodeState, DataPrint, Hardware, Replay, RunManifest
from nlp_training.runs.record import RunRecord
from nlp_training.runs.reproduction import Row, compare_with_original, explain_rows
from nlp_training.trainer import DocumentTrainer


@pytest.fixture
def console() -> Console:
    return Console(quiet=True)


@pytest.fixture(scope="module")
def finished(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that finished; tests copy it before they change anything."""
    folder = tmp_path_factory.mktemp("finished")
    config = RunConfig.model_validate(
        {
            "name": "once",
            "output_dir": str(folder / "runs"),
            "cpu_threads": 1,
            "model": {"base": str(tiny_base)},
            "data": {
                "train": str(write_jsonl(folder / "train.jsonl", span_records("train", 16))),
                "validation": str(write_jsonl(folder / "validation.jsonl", span_records("validation", 4))),
            },
            "processor": {"preprocess": ["strip_html"], "task": "token-classification"},
            "training": {"num_train_epochs": 1, "learning_rate": 0.02, "per_device_train_batch_size": 8},
            "golden": {"records": 0},
        }
    )
    train(config, console=Console(quiet=True))
    return config.folder


def change_manifest(folder: Path, **changes: Any) -> None:
    RunManifest.load(folder).model_copy(update=changes).save(folder)


def test_a_run_says_what_it_was_made_of_and_what_came_out(finished: Path) -> None:
    manifest, model = RunManifest.load(finished), finished / "model"
    assert (manifest.name, manifest.status, manifest.error, manifest.resumed) == ("once", "finished", None, ())
    assert manifest.seconds is not None
    assert manifest.seconds > 0
    assert manifest.weights == {"model.safetensors": file_digest(model / "model.safetensors")}
    assert manifest.metrics == file_digest(model / "metrics.json")
    config = load_config(finished / "config.yaml")
    documents = load_documents(config.data.train)
    assert manifest.data["train"] == DataPrint(documents=16, sha256=documents_sha256(documents))
    assert list(manifest.data) == ["train", "validation"]
    assert (manifest.seed, manifest.world_size, manifest.hardware.threads) == (42, 1, 1)
    assert (config.cpu_threads, config.training["num_train_epochs"]) == (1, 1)
    assert config == load_config(model / "training.yaml")
    assert f"torch=={manifest.packages['torch']}" in (finished / "environment.txt").read_text().splitlines()


def test_what_a_run_says_of_its_making_is_not_published(finished: Path) -> None:
    ours = {"run.json", "config.yaml", "environment.txt", "code.diff", "code.modules"}
    assert not ours & {path.name for path in (finished / "model").iterdir()}


def test_the_environment_is_not_dumped(label_run: RunConfig, monkeypatch: pytest.MonkeyPatch, console: Console) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("sys.argv", [str(Path.cwd() / "bin/nlp-training"), "train", str(Path.home() / "a.yaml")])
    monkeypatch.setattr(DocumentTrainer, "train", _fail)
    with pytest.raises(RuntimeError, match="out\nof memory"):
        train(label_run, console=console)
    manifest = RunManifest.load(label_run.folder)
    assert (manifest.status, manifest.error) == ("failed", "RuntimeError: out of memory")
    assert (manifest.weights, manifest.processor, manifest.metrics) == ({}, None, None)
    assert manifest.environment["OMP_NUM_THREADS"] == "1"
    assert manifest.command == ("nlp-training", "train", "~/a.yaml")
    for path in label_run.folder.glob("*.*"):
        if path.name != "code.diff":  # which holds these lines
            assert "hf_secret" not in path.read_text()


def _fail(*_: object, **__: object) -> None:
    raise RuntimeError("out\nof memory")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "has no run.json; pass the folder of a run"),
        ("{", "is not the manifest of a run"),
        ('{"schema_version": 2}', "schema_version: Input should be 1"),
    ],
)
def test_what_is_no_manifest_is_told(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(ArtefactError, match=message):
        RunManifest.load(tmp_path)


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout with one commit, which the library is taken to be in."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "code.py").write_text("x = 1\n")
    git(folder, "add", "code.py")
    git(folder, "commit", "--quiet", "--message", "one")
    monkeypatch.setattr(code_state, "__file__", str(folder / "code.py"))
    monkeypatch.chdir(tmp_path)
    return folder


def test_code_as_it_was_committed_leaves_no_diff(checkout: Path) -> None:
    code, project, changes = code_state.find_code()
    assert (code.source, code.dirty, project, changes) == ("git", False, None, "")
    assert code.commit is not None
    assert len(code.commit) == 40


def test_what_was_changed_and_what_is_new_is_kept(checkout: Path) -> None:
    (checkout / "code.py").write_text("x = 2\n")
    (checkout / "été.py").touch()
    code, _, changes = code_state.find_code()
    assert code.dirty is True
    assert changes.startswith(f"# checkout: changes since commit {code.commit}\n# untracked: été.py\n")
    assert changes.endswith("-x = 1\n+x = 2\n")


def test_a_long_diff_is_cut_and_says_so(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_state, "MAX_DIFF_CHARACTERS", 10)
    monkeypatch.setattr(code_state, "MAX_UNTRACKED", 1)
    (checkout / "code.py").write_text("x = 2\n")
    for name in ("a", "b", "c"):
        (checkout / name).touch()
    _, _, changes = code_state.find_code()
    lines = changes.splitlines()[1:]
    assert lines[:2] == ["# untracked: a", "# untracked: and 2 more"]
    assert lines[2].startswith("# truncated: 10 of ")
    assert lines[3:] == ["diff --git"]


def test_an_installed_package_is_in_no_checkout_but_the_project_is(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / ".gitignore").write_text("site-packages\n")
    (checkout / "site-packages").mkdir()
    (checkout / "site-packages" / "package.py").touch()
    monkeypatch.setattr(code_state, "__file__", str(checkout / "site-packages" / "package.py"))
    monkeypatch.chdir(checkout)
    code, project, changes = code_state.find_code()
    assert (code.source, code.commit) == ("package", None)
    assert project is not None
    assert project.dirty is True
    assert "# untracked: .gitignore" in changes


def test_without_git_a_run_goes_on(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    code, project, changes = code_state.find_code()
    assert (code.source, project, changes) == ("package", None, "")


def checkpoint(folder: Path, step: int, *, best: int | None = None) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_text("weights")
    (path / "trainer_state.json").write_text(json.dumps({"best_global_step": best}))
    mark_complete(path)
    return path


def _cut(path: Path) -> None:
    (path / "model.safetensors").write_text("weig")


def _lose(path: Path) -> None:
    (path / "trainer_state.json").unlink()


def _unmark(path: Path) -> None:
    (path / "whole.json").unlink()


def _mark_half(path: Path) -> None:
    (path / "whole.json").write_text('{"model.saf')


@pytest.mark.parametrize("damage", [_cut, _lose, _unmark, _mark_half])
def test_a_checkpoint_of_which_something_is_missing_is_not_whole(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    first, second, third = (checkpoint(tmp_path, step) for step in (9, 10, 100))
    assert last_complete(tmp_path) == third
    damage(third)
    assert not is_complete(third)
    assert last_complete(tmp_path) == second
    assert remove_after(tmp_path, second) == [third]
    assert sorted(tmp_path.iterdir()) == [second, first]


def test_a_checkpoint_without_the_best_weights_is_none_to_go_on_from(tmp_path: Path) -> None:
    first, _, third = checkpoint(tmp_path, 1, best=1), checkpoint(tmp_path, 2, best=2), checkpoint(tmp_path, 3, best=2)
    assert last_complete(tmp_path) == third
    shutil.rmtree(tmp_path / "checkpoint-2")
    assert last_complete(tmp_path) == first


def test_a_run_that_changed_does_not_go_on(span_run: RunConfig, tmp_path: Path, console: Console) -> None:
    training = {**span_run.training, "num_train_epochs": 1}
    run = span_run.model_copy(update={"training": training, "golden": GoldenConfig(records=0)})
    train(run, console=console)
    changed = run.model_copy(update={"seed": 1, "training": training | {"learning_rate": 0.5}})
    with pytest.raises(
        InvalidSpecError, match=r"changed: seed 42 -> 1, training\.learning_rate 0\.02 -> 0\.5; undo it"
    ):
        train(changed, console=console, resume=True)
    both = run.model_copy(update={"training": training | {"resume_from_checkpoint": True}})
    with pytest.raises(InvalidSpecError, match="use only one of them"):
        train(both, console=console, resume=True)
    write_jsonl(tmp_path / "test.jsonl", span_records("other", 7))
    with pytest.raises(InvalidSpecError, match="changed: the documents of test; undo it"):
        train(run, console=console, resume=True)


def manifest_of(**changes: Any) -> RunManifest:
    values: dict[str, Any] = {
        "id": "1",
        "name": "one",
        "status": "finished",
        "started_at": "2026-01-01T00:00:00Z",
        "command": ["nlp-training"],
        "python": "3.13.0",
        "packages": {"torch": "2.13.0"},
        "code": CodeState(version="1", checkout=Checkout(commit="a", dirty=False)),
        "hardware": Hardware(system="Linux x86_64", cpu="a CPU", vector="AVX2", cores=2, threads=2),
        "world_size": 1,
        "seed": 1,
        "data": {},
        "initial_weights": "a",
        "processor": "p",
        "weights": {"model.safetensors": "w"},
        "metrics": "m",
    }
    return RunManifest.model_validate(values | changes)


@pytest.mark.parametrize(
    ("changes", "differing", "explanation"),
    [
        ({"weights": {"model.safetensors": "v"}}, ["model.safetensors"], "nothing that was recorded differs"),
        ({"metrics": "n", "initial_weights": "b"}, ["initial weights", "metrics"], "began with different weights"),
        ({"metrics": "n", "packages": {"torch": "2.14.0"}}, ["torch", "metrics"], "may change results: torch"),
        (
            {
                "metrics": "n",
                "hardware": Hardware(system="Linux x86_64", cpu="a CPU", vector="AVX2", cores=2, threads=1),
            },
            ["threads", "metrics"],
            "threads 2 -> 1: floating-point sums have a different order",
        ),
        (
            {"metrics": "n", "code": CodeState(version="1", checkout=Checkout(commit="b", dirty=False))},
            ["commit", "metrics"],
            "the code differs (commit): compare the commits",
        ),
        (
            {"metrics": "n", "modules": {"ideas.py": "0" * 64}},
            ["ideas.py", "metrics"],
            "the code differs (ideas.py): compare the commits, code.diff and code.modules of both runs",
        ),
    ],
)
def test_what_differs_is_named_with_what_may_explain_it(
    tmp_path: Path, changes: dict[str, Any], differing: list[str], explanation: str
) -> None:
    manifest_of().save(tmp_path / "before")
    manifest_of(**changes).save(tmp_path / "now")
    found = compare_with_original(tmp_path / "before", tmp_path / "now")
    assert not found.identical
    assert [row.name for row in found.rows if not row.same] == differing
    assert any(explanation in line for line in found.explanations)
    assert compare_with_original(tmp_path / "now", tmp_path / "now").identical


def test_what_another_machine_decided_otherwise_is_named(finished: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(finished, tmp_path / "once"))
    content = load_config(finished / "config.yaml")
    training = content.training | {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    save_config(content.model_copy(update={"training": training, "output_dir": "elsewhere"}), other / "config.yaml")
    change_manifest(other, metrics="0" * 64)
    found = compare_with_original(finished, other)
    assert [row.name for row in found.rows if row.kind == "configuration"] == [
        "training.per_device_train_batch_size",
        "training.gradient_accumulation_steps",
    ]
    assert any("training.per_device_train_batch_size" in line for line in found.explanations)


def test_an_explanation_is_not_given_for_a_result(tmp_path: Path) -> None:
    [line] = explain_rows([Row(kind="result", name="metrics", before="a", now="b")])
    assert line.startswith("nothing that was recorded differs")


def test_a_run_is_reproduced(finished: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["reproduce", str(finished), "--output-dir", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["identical"] is True
    assert [row["name"] for row in found["rows"] if row["kind"] == "configuration"] == []
    assert (finished / "logs").is_dir()
    assert not (tmp_path / "once" / "logs").exists()
    weights = [(folder / "model" / "model.safetensors").read_bytes() for folder in (finished, tmp_path / "once")]
    assert weights[0] == weights[1]
    assert f"report {(tmp_path / 'once' / 'report.html').resolve().as_uri()}\n" in done.stderr


def test_nobody_is_sent_to_a_repetition_that_is_removed(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunRecord, "finish", _finish_otherwise)
    done = CliRunner().invoke(app, ["reproduce", str(finished)])
    assert done.exit_code == 1
    assert "report file:" not in done.stderr
    assert not any(line.startswith("model ") for line in done.stderr.splitlines())
    assert done.stderr.endswith("the repetition was not kept; to keep it, pass --output-dir DIR\n")


def _finish_otherwise(record: RunRecord, _: Path, *, verification: Replay | None = None) -> None:
    record._write(status="finished", metrics="0" * 64)


def test_the_files_of_the_user_are_kept_with_what_they_import(
    span_run: RunConfig, tmp_path: Path, console: Console
) -> None:
    ideas, helpers = tmp_path / "ideas.py", tmp_path / "helpers.py"
    ideas.write_text("from .helpers import NAME\nfrom . import helpers\nimport re\n")
    helpers.write_text("NAME = 'a'\n")
    (tmp_path / "others.py").write_text("")
    run = span_run.model_copy(update={"modules": [str(ideas), "json"], "golden": GoldenConfig(records=0)})
    run = run.model_copy(update={"training": {**run.training, "num_train_epochs": 1}})
    train(run, console=console)
    kept = run.folder / "code.modules"
    assert {path.name: path.read_text() for path in kept.iterdir()} == {
        "ideas.py": ideas.read_text(),
        "helpers.py": "NAME = 'a'\n",
    }
    assert RunManifest.load(run.folder).modules == {
        "helpers.py": file_digest(helpers),
        "ideas.py": file_digest(ideas),
    }
    helpers.write_text("NAME = 'b'\n")
    with pytest.raises(InvalidSpecError, match=r"changed: the file helpers\.py; undo it"):
        train(run, console=console, resume=True)
    train(span_run.model_copy(update={"training": run.training}), console=console, overwrite=True)
    assert not kept.exists()


def stub_training(monkeypatch: pytest.MonkeyPatch, like: Path, **changes: Any) -> None:
    """Let the repetition be a copy of a run, with these changes."""

    def copy(config: RunConfig, **_: object) -> None:
        shutil.copytree(like, config.folder)
        change_manifest(config.folder, **changes)

    monkeypatch.setattr(reproduce_module, "train", copy)


def test_a_run_with_another_end_is_told(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub_training(monkeypatch, finished, weights={"model.safetensors": "0" * 64}, python="3.0.0")
    done = CliRunner().invoke(app, ["reproduce", str(finished)], env={"COLUMNS": "200"})
    assert done.exit_code == 1
    assert "different: model.safetensors" in done.stdout
    assert "different versions or environment variables may change results: python" in done.stdout
    stub_training(monkeypatch, finished)
    done = CliRunner().invoke(app, ["reproduce", str(finished)], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert "identical: weights, processor and scores are equal bit for bit" in done.stdout


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "running"}, "is 'running' and has no results to compare with"),
        ({"from_checkpoint": "checkpoint-5"}, "started from 'checkpoint-5'"),
        ({"world_size": 2}, "accelerate launch --num_processes 2 -m nlp_training.cli reproduce"),
        ({"data": {"train": DataPrint(documents=1, sha256="ab")}}, "train had 1 documents, sha256 ab, and now has 16"),
    ],
)
def test_what_cannot_be_compared_is_told_before_training(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "once"))
    change_manifest(run, **changes)
    monkeypatch.setattr(reproduce_module, "train", _fail)
    done = CliRunner().invoke(app, ["reproduce", str(run)], env={"COLUMNS": "1000"})
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_repetition_does_not_replace_the_run(finished: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["reproduce", str(finished), "--output-dir", str(finished.parent)])
    assert done.exit_code == 2
    assert "would replace the run" in " ".join(done.stderr.split())
    assert CliRunner().invoke(app, ["reproduce", str(tmp_path)]).exit_code == 2
