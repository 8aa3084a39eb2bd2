"""What loading reads of a folder: complete, regular files of bounded size, whichever way leads to them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoProcessor
from typer.testing import CliRunner

from nlp_inference import Predictor, Processor
from nlp_inference._utils import saved_files as _saved_files
from nlp_inference.cli import app
from nlp_inference.errors import ArtefactError
from nlp_inference.hub import MODEL_NEEDS, PROCESSOR_NEEDS, SETTINGS_FILES, artefact_folder
from nlp_inference.processor.fingerprint import Fingerprint

runner = CliRunner()


@pytest.fixture
def artefact(saved_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved_model, tmp_path / "artefact"))


WAYS = {
    "Processor": Processor.from_pretrained,
    "AutoProcessor": AutoProcessor.from_pretrained,
    "Predictor": Predictor.from_pretrained,
    "pipeline": lambda folder: Predictor.from_pretrained(folder).as_pipeline(),
    "ONNX": lambda folder: Predictor.from_pretrained(folder, backend="onnx"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_folder_without_its_tokenizer_is_an_error_on_every_way(artefact: Path, way: str) -> None:
    (artefact / "tokenizer.json").unlink()
    with pytest.raises(ArtefactError, match=r"the folder '.*artefact' has no tokenizer.json; .*copy it again"):
        WAYS[way](artefact)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 711396\n"


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer.json",
        "config.json",
        "processor_config.json",
        pytest.param("model.safetensors", marks=pytest.mark.extra),
    ],
)
def test_pointers_of_git_lfs_and_empty_files_are_named(artefact: Path, name: str) -> None:
    (artefact / name).write_text(POINTER, encoding="utf-8")
    with pytest.raises(ArtefactError, match=rf"{name}' is only a Git LFS pointer; fetch the file: git lfs pull"):
        Predictor.from_pretrained(artefact)
    if name.endswith(".json"):
        (artefact / name).write_bytes(b"")
        with pytest.raises(ArtefactError, match=rf"{name}' is empty; save or fetch"):
            Predictor.from_pretrained(artefact)


@pytest.mark.parametrize("command", ["predict", "verify"])
def test_the_commands_refuse_a_folder_without_its_tokenizer(artefact: Path, tmp_path: Path, command: str) -> None:
    (artefact / "tokenizer.json").unlink()
    (tmp_path / "texts.txt").write_text("Ana lives in Rome", encoding="utf-8")
    more = [str(tmp_path / "texts.txt")] if command == "predict" else []
    result = runner.invoke(app, [command, str(artefact), *more])
    assert result.exit_code in (1, 2)
    assert "has no tokenizer.json" in result.stderr


def test_a_link_to_a_file_that_is_gone_is_a_missing_file(artefact: Path) -> None:
    (artefact / "tokenizer.json").unlink()
    (artefact / "tokenizer.json").symlink_to(artefact / "gone")
    with pytest.raises(ArtefactError, match=r"has no tokenizer.json"):
        Processor.from_pretrained(artefact)


@pytest.mark.parametrize("name", PROCESSOR_NEEDS)
def test_every_needed_file_of_a_processor_without_a_fingerprint_is_named(artefact: Path, name: str) -> None:
    Processor.from_pretrained(artefact).with_fingerprint(None).save_pretrained(artefact)
    (artefact / name).unlink()
    with pytest.raises(ArtefactError, match=rf"has no {name}; expected a complete model .*copy it again"):
        Processor.from_pretrained(artefact)


@pytest.mark.extra
def test_a_fingerprint_is_parsed_once(artefact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processor = Processor.from_pretrained(artefact)
    saved = Fingerprint.of(processor, weights=[artefact / "model.safetensors"], runtime="torch", folder=artefact)
    processor.with_fingerprint(saved).save_pretrained(artefact)
    parsed: list[object] = []
    validate = Fingerprint.model_validate
    monkeypatch.setattr(Fingerprint, "model_validate", lambda given: parsed.append(given) or validate(given))
    assert Processor.from_pretrained(artefact).fingerprint == saved
    assert len(parsed) == 1


@pytest.mark.parametrize("name", MODEL_NEEDS)
def test_every_needed_file_of_a_local_folder_is_checked(artefact: Path, name: str) -> None:
    (artefact / name).unlink()
    with pytest.raises(ArtefactError, match=rf"has no {name}"):
        Predictor.from_pretrained(artefact)


def test_what_a_processor_needs_is_less_than_what_a_model_needs(artefact: Path) -> None:
    (artefact / "config.json").unlink()
    assert artefact_folder(artefact, files=SETTINGS_FILES, needed=PROCESSOR_NEEDS) == artefact
    Processor.from_pretrained(artefact)


READ = ("config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
"""Files that this library or transformers opens."""


def replace(path: Path, kind: str) -> None:
    path.unlink(missing_ok=True)
    if kind == "named pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "link to itself":
        path.symlink_to(path.name)


@pytest.mark.parametrize("kind", ["named pipe", "device", "folder", "link to itself"])
@pytest.mark.parametrize("name", READ)
def test_only_regular_files_are_opened(artefact: Path, name: str, kind: str) -> None:
    replace(artefact / name, kind)
    said = "cannot be read" if kind == "link to itself" else f"is a {kind}, expected a regular file"
    for load in (Processor.from_pretrained, Predictor.from_pretrained):
        with pytest.raises(ArtefactError, match=rf"{name}' {said}"):
            load(artefact)


@pytest.mark.parametrize("name", ["model.safetensors.index.json", "adapter_config.json", "golden.json", "evil.py"])
def test_a_pipe_that_nobody_writes_blocks_nothing(artefact: Path, name: str) -> None:
    replace(artefact / name, "named pipe")
    with pytest.raises(ArtefactError, match="is a named pipe"):
        Predictor.from_pretrained(artefact, trust_remote_code=True)


@pytest.mark.extra
def test_weights_are_a_regular_file(artefact: Path) -> None:
    replace(artefact / "model.safetensors", "device")
    with pytest.raises(ArtefactError, match=r"model.safetensors' is a device"):
        Predictor.from_pretrained(artefact)


@pytest.mark.parametrize("name", READ)
def test_a_file_that_is_larger_than_any_saved_one_is_not_read(artefact: Path, name: str) -> None:
    with (artefact / name).open("ab") as file:
        file.truncate(2**40)  # sparse: it takes no space
    for load in (Processor.from_pretrained, Predictor.from_pretrained):
        with pytest.raises(ArtefactError, match=rf"{name}' has 1099511627776 bytes; the limit"):
            load(artefact)


def test_a_file_that_grows_while_it_is_read_is_read_to_its_bound_only(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b" " * 11)
    with pytest.raises(ArtefactError, match="larger than the limit of 10 bytes"):
        _saved_files.read_saved_file(path, most=10)
    assert _saved_files.read_saved_file(path, most=11) == b" " * 11


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from nlp_inference import Processor
from nlp_inference.errors import ArtefactError
for folder in sys.argv[1:]:
    try:
        Processor.from_pretrained(folder)
    except ArtefactError as error:
        print(error)
"""


def test_without_torch_the_same_is_refused(artefact: Path, tmp_path: Path) -> None:
    folders = []
    for name in ("config.json", "processor_config.json", "tokenizer.json"):
        folders.append(Path(shutil.copytree(artefact, tmp_path / f"without {name}")))
        replace(folders[-1] / name, "device")
    huge = Path(shutil.copytree(artefact, tmp_path / "huge"))
    change(huge, num_labels=10**9, id2label=None, label2id=None)
    folders.append(huge)
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, folders)]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.splitlines()
    assert [line.count("is a device") for line in lines] == [1, 1, 1, 0]
    assert "num_labels is 1000000000" in lines[3]


def change(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    content = {**json.loads(path.read_text(encoding="utf-8")), **values}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}), encoding="utf-8")


SIZES = {
    "num_hidden_layers": (10**7, "num_hidden_layers is 10000000, but"),
    "num_labels": (10**9, "num_labels is 1000000000, but"),
    "id2label": ({str(number): f"L{number}" for number in range(40_000)}, "id2label is 40000, but"),
    "vocab_size": (10**12, "describes a model of more than .* numbers"),
    "hidden_size": (10**6, "describes a model of more than .* numbers"),
    "intermediate_size": (10**9, "describes a model of more than .* numbers"),
    "max_position_embeddings": (10**10, "describes a model of more than .* numbers"),
    "type_vocab_size": (10**10, "describes a model of more than .* numbers"),
}


@pytest.mark.extra
@pytest.mark.parametrize("key", SIZES)
def test_sizes_of_a_stranger_are_compared_with_the_weights_before_anything_is_built(artefact: Path, key: str) -> None:
    size, said = SIZES[key]
    labels = {} if key == "id2label" else {"id2label": None, "label2id": None}
    change(artefact, **({key: size} | (labels if key == "num_labels" else {})))
    with pytest.raises(ArtefactError, match=said):
        Predictor.from_pretrained(artefact, backend="torch")


@pytest.mark.extra
def test_as_many_layers_as_the_absolute_bound_allows_are_still_more_than_the_weights_hold(artefact: Path) -> None:
    change(artefact, num_hidden_layers=50_000)
    with pytest.raises(ArtefactError, match=r"num_hidden_layers is 50000, but the weights \(\d+ tensors\) allow"):
        Predictor.from_pretrained(artefact, backend="torch")


@pytest.mark.extra
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layers", [0, -1])
def test_fewer_layers_than_the_weights_have_are_refused(artefact: Path, layers: int) -> None:
    change(artefact, num_hidden_layers=layers)
    with pytest.raises(ArtefactError, match=r"unexpected keys: bert\.encoder\.layer\.0\."):
        Predictor.from_pretrained(artefact, backend="torch")


@pytest.mark.extra
def test_sizes_that_multiply_are_stopped_while_the_model_is_built(artefact: Path) -> None:
    change(artefact, num_hidden_layers=1000, hidden_size=512, intermediate_size=2048)
    with pytest.raises(ArtefactError, match=r"describes a model of more than .* numbers, but its weights are"):
        Predictor.from_pretrained(artefact, backend="torch")


def test_nested_configurations_are_checked_too(artefact: Path) -> None:
    change(artefact, text_config={"encoder": {"block_sizes": [4, 10**9]}})
    for load in (Processor.from_pretrained, Predictor.from_pretrained):
        with pytest.raises(ArtefactError, match="block_sizes is 1000000000, but"):
            load(artefact)
