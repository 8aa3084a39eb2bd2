"""What is published of a folder, and what must not be."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nlp_inference.errors import ArtefactError, PublishError
from nlp_training import RunConfig, load_config
from nlp_training.config import save_config
from nlp_training.release.configuration import published_configuration
from nlp_training.release.files import find_release, is_ours

ALWAYS = {
    "README.md",
    "config.json",
    "golden.json",
    "model.safetensors",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
}


@pytest.fixture
def model(saved_model: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "model"
    shutil.copytree(saved_model, folder)
    for name in ("README.md", "golden.json"):
        (folder / name).write_text("{}")
    return folder


def test_a_run_and_its_model_folder_are_the_same_release(model: Path) -> None:
    assert find_release(model.parent) == find_release(model)
    assert set(find_release(model).files) == ALWAYS


def test_what_is_not_on_the_list_stays_here(model: Path) -> None:
    for name in ("notes.txt", ".env", "train.jsonl", "modeling_own.py", "model.safetensors.bak", "fp16.safetensors"):
        (model / name).write_text("private")
    (model / "profile.json").write_text("{}")
    (model / "metrics.json").mkdir()
    release = find_release(model)
    assert set(release.files) == {*ALWAYS, "profile.json"}
    assert set(release.left_out) == {
        ".env",
        "fp16.safetensors",
        "metrics.json",
        "model.safetensors.bak",
        "modeling_own.py",
        "notes.txt",
        "train.jsonl",
    }


@pytest.mark.parametrize("name", ["pytorch_model.bin", "training_args.bin", "scheduler.pt", "x.pickle", "head.pkl"])
def test_a_file_that_runs_code_when_it_is_opened_is_refused(model: Path, name: str) -> None:
    (model / name).write_bytes(b"")
    with pytest.raises(PublishError, match=f"contains {name}, which can run any code .* only as safetensors"):
        find_release(model)


@pytest.mark.parametrize("name", ["golden.json", "README.md", "tokenizer.json", "config.json"])
def test_what_is_missing_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(PublishError, match=f"has no {name}; publish a folder that nlp-training wrote"):
        find_release(model)


def test_a_folder_without_a_model_is_none(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"there is no model in .* pass the folder of a finished run"):
        find_release(tmp_path)
    with pytest.raises(ArtefactError, match="there is no model in 'no/where'"):
        find_release("no/where")


def test_weights_in_shards_come_with_their_index_and_no_stray_shard(model: Path) -> None:
    (model / "model.safetensors").rename(model / "model-00001-of-00001.safetensors")
    (model / "model-00002-of-00009.safetensors").write_bytes(b"of another model")
    index = model / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}))
    sent = set(find_release(model).files)
    assert sent == {*ALWAYS - {"model.safetensors"}, index.name, "model-00001-of-00001.safetensors"}
    index.unlink()
    with pytest.raises(ArtefactError, match="has no weights"):
        find_release(model)


def test_a_token_is_not_published(model: Path) -> None:
    (model / "training.yaml").write_text(f"training:\n  hub_token: hf_{'a1B2' * 9}\n")
    with pytest.raises(PublishError, match=r"'training\.yaml' contains what looks like a token of the Hub"):
        find_release(model)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("training.yaml", "data: {train: 'https://ana:s3cret@host/a.jsonl'}", "a password in an address"),
        ("golden.json", '{"raw_text": "ftp://ana:s3cret@host"}', "a password in an address"),
        ("training.yaml", "training: {report: [{wandb_key: abc}]}", "a value under 'wandb_key'"),
        ("training.yaml", "data: {access_token: abc}", "a value under 'access_token'"),
        ("training.yaml", "model: {settings: {PASSWORD: abc}}", "a value under 'PASSWORD'"),
    ],
)
def test_other_secrets_are_not_published(model: Path, name: str, content: str, said: str) -> None:
    (model / name).write_text(content)
    with pytest.raises(PublishError, match=f"'{name}' contains .*{said}"):
        find_release(model)


def test_what_only_looks_a_little_like_a_secret_is_published(model: Path) -> None:
    (model / "golden.json").write_text('"https://a.example/b?c=d#e, @bo", "ssh://ana@host:22/x", "a://b:c", "d@e"')
    (model / "training.yaml").write_text("processor: {task: {own: {pad_token: x}}}\ntraining: {max_token: 3}\n")
    assert "training.yaml" in find_release(model).files


def _say(model: Path, files: dict[str, str]) -> None:
    path = model / "processor_config.json"
    content = json.loads(path.read_text())
    content["custom"] = [{"kind": "transform", "name": "shout", "module": "own", "code": "own.Shout", "files": files}]
    path.write_text(json.dumps(content))


def test_the_source_of_a_custom_transform_goes_along_if_it_was_saved_with_the_model(model: Path) -> None:
    source = b"class Shout: ..."
    (model / "own.py").write_bytes(source)
    (model / "other.py").write_bytes(source)
    _say(model, {"own.py": hashlib.sha256(source).hexdigest()})
    release = find_release(model)
    assert (set(release.files), release.code) == ({*ALWAYS, "own.py"}, {"own.py"})
    (model / "own.py").write_bytes(b"import os")
    with pytest.raises(PublishError, match=r"source file 'own\.py', which is missing or has changed"):
        find_release(model)


@pytest.mark.parametrize(
    "place", [lambda model: "../../secret", lambda model: str(model.parent / "secret")], ids=["above", "absolute"]
)
def test_no_file_outside_the_folder_is_published(model: Path, place: Callable[[Path], str]) -> None:
    secret = model.parent / "secret"
    secret.write_text("mine")
    _say(model, {place(model): hashlib.sha256(b"mine").hexdigest()})
    with pytest.raises(PublishError, match="names the source file"):
        find_release(model)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("model.safetensors", True),
        ("model-00001-of-00002.safetensors", True),
        ("model.safetensors.index.json", True),
        ("profile.json", True),
        ("README.md", True),
        (".gitattributes", False),
        ("LICENSE", False),
        ("onnx/model.onnx", True),
        ("onnx/model_int8.golden.json", True),
        ("onnx/decoder.onnx", False),
        ("model.onnx", False),
        ("adapter_model.safetensors", False),
    ],
)
def test_only_files_of_a_release_are_taken_away_by_the_next(name: str, ours: bool) -> None:
    assert is_ours(name) is ours


@pytest.mark.parametrize(
    ("path", "published"),
    [
        ("/home/ana/train.jsonl", "train.jsonl"),
        ("~/train.jsonl", "train.jsonl"),
        ("../customer/train.jsonl", "train.jsonl"),
        ("C:\\data\\train.jsonl", "train.jsonl"),
        ("data/train.jsonl", "data/train.jsonl"),
        ("org/data", "org/data"),
    ],
)
def test_of_a_path_of_this_machine_the_last_name_is_published(tmp_path: Path, path: str, published: str) -> None:
    pattern = {"replace_regex": {"pattern": "/home", "replacement": ""}}
    content = {
        "name": "demo",
        "model": {"base": path},
        "data": {"train": path, "test": {"other": path}},
        "processor": {"task": "text-classification", "preprocess": [pattern]},
        "training": {"fsdp_config": path},
    }
    save_config(RunConfig.model_validate(content), tmp_path / "training.yaml")
    (tmp_path / "published.yaml").write_bytes(published_configuration(tmp_path / "training.yaml"))
    found = load_config(tmp_path / "published.yaml")
    assert {found.model.base, found.data.train.path, found.data.test["other"].path} == {published}
    assert (found.training, found.processor.preprocess) == ({"fsdp_config": published}, [pattern])
