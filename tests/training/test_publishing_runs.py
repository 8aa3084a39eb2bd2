"""From a run to the Hub: what is sent was verified and says nothing of this machine, and what failed leaves nothing."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_client import Client, ClientError
from hub_http import Fault
from hub_server import Hub, Repo
from loud_package import Machine
from made_up_records import span_records, write_jsonl
from rich.console import Console
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from nlp_inference.errors import InvalidSpecError, PublishError, UnknownTypeError
from nlp_inference.processor.fingerprint import FingerprintWarning
from nlp_training import RunConfig, load_config, train
from nlp_training.cli import app
from nlp_training.release.plan import plan_release

WRITER = "hf_writer"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    hub = Hub()
    hub.tokens = {WRITER: {"org"}}
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def writer(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = Client(hub.url, tmp_path_factory.mktemp("home"), HF_TOKEN=WRITER)
    yield client
    client.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the data of the run and the run itself are; no byte of this path may be published."""
    return tmp_path_factory.mktemp("private")


@pytest.fixture(scope="module")
def config(tiny_base: Path, place: Path) -> RunConfig:
    """A run on texts without ids, so that their ids are paths, of which one loses a span and one has odd characters."""
    train_set, validation = span_records("train", 24), span_records("validation", 6)
    train_set[2]["spans"][0]["end"] -= 1
    train_set[3]["text"] += " \u2adb"
    base = shutil.copytree(tiny_base, place / "base")
    for record in train_set:
        del record["id"]
    (place / "own.txt").write_text("Eva, too\n")
    content = {
        "name": "private",
        "output_dir": str(place / "runs"),
        "cpu_threads": 1,
        "model": {"base": str(base)},
        "data": {
            "train": str(write_jsonl(place / "train.jsonl", train_set)),
            "validation": str(write_jsonl(place / "validation.jsonl", validation)),
        },
        "processor": {"preprocess": ["strip_html"], "task": "token-classification"},
        "training": {"num_train_epochs": 1, "per_device_train_batch_size": 8, "bf16": False},
        "golden": {"records": 4, "file": str(place / "own.txt")},
    }
    return RunConfig.model_validate(content)


@pytest.fixture(scope="module")
def trained(config: RunConfig) -> Path:
    return train(config, console=Console(file=io.StringIO())).model


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    """The model, to be damaged."""
    return shutil.copytree(trained, tmp_path / "run" / "model")


def test_no_byte_that_is_published_names_a_place_or_an_id(
    hub: Hub, writer: Client, trained: Path, place: Path, config: RunConfig, tmp_path: Path
) -> None:
    shown = writer("command", "publish", str(trained.parent), "org/run", "--private", "--dry-run", "--json")
    assert (json.loads(shown["out"])["texts"], json.loads(shown["out"])["private"]) == (5, True)
    told = "golden.json contains 5 texts of your data; only members of the namespace will see them (--private)"
    assert told in " ".join(shown["err"].split())
    done = writer("publish", str(trained.parent), "org/run", private=True)
    assert (done["texts"], done["private"]) == (5, True)
    sent = hub.repos["org/run"].commits[done["commit"]]
    assert set(sent) >= {"data_report.json", "training.yaml", "training_log.json", "profile.json", "README.md"}
    for name, content in sent.items():
        for secret in (str(place), "train.jsonl:", "validation-"):
            assert secret.encode() not in content, name
    (tmp_path / "training.yaml").write_bytes(sent["training.yaml"])
    published = load_config(tmp_path / "training.yaml")
    assert (published.output_dir, published.model.base, published.golden.file) == ("runs", "base", "own.txt")
    assert (published.data.train.path, published.data.validation.path) == ("train.jsonl", "validation.jsonl")
    assert published.processor == load_config(trained / "training.yaml").processor


def _flip_weight(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    weights["classifier.weight"][0, 0] += 1
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})


def _flip_weight_and_fingerprint(model: Path) -> None:
    _flip_weight(model)
    _change(model, fingerprint=None)


def _flip_setting(model: Path) -> None:
    _change(model, preprocess=["strip_html", "lowercase", {"replace_regex": {"pattern": "lives", "replacement": "is"}}])


def _change(model: Path, **settings: object) -> None:
    path = model / "processor_config.json"
    content = {**json.loads(path.read_text()), **settings}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_flip_weight, "ArtefactError"),
        (_flip_weight_and_fingerprint, "VerificationError: .* differs in 'logits'"),
        (_flip_setting, "VerificationError: .* differs in 'edits'"),
        (lambda model: (model / "golden.json").unlink(), "PublishError: .* has no golden.json"),
    ],
    ids=["weight", "weight and fingerprint", "setting", "no records"],
)
def test_what_does_not_verify_is_not_published(hub: Hub, writer: Client, model: Path, damage, said: str) -> None:
    damage(model)
    hub.requests.clear()
    with pytest.raises(ClientError, match=f"(?s){said}"):
        writer("publish", str(model.parent), "org/damaged")
    assert (hub.requests, "org/damaged" in hub.repos) == ([], False)


def test_a_model_that_is_replaced_after_it_was_verified_is_not_published(
    hub: Hub, writer: Client, model: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(model, tmp_path / "other")
    _flip_weight(other)
    with pytest.raises(ClientError, match=r"PublishError: 'model\.safetensors' changed while .* publish again"):
        writer("publish_while_a_training_ends", str(model), str(other), "org/replaced")
    assert "org/replaced" not in hub.repos


@pytest.fixture
def repo(hub: Hub, writer: Client, trained: Path) -> Repo:
    """A repository with a model on `main`."""
    if "org/branches" not in hub.repos:
        writer("publish", str(trained), "org/branches")
    return hub.repos["org/branches"]


@pytest.mark.parametrize(
    ("fault", "made"),
    [(Fault("PUT", "/lfs/", "403", times=9), False), (Fault("POST", "/commit/next", "403"), True)],
    ids=["in the weights", "in the commit"],
)
def test_a_branch_that_was_to_hold_a_release_is_not_left_with_the_model_of_main(
    hub: Hub, writer: Client, repo: Repo, model: Path, fault: Fault, made: bool
) -> None:
    before = dict(repo.refs)
    (model / "metrics.json").write_text('{"next": {}}')
    hub.forget(model / "model.safetensors")
    hub.requests.clear()
    hub.faults.append(fault)
    with pytest.raises(ClientError, match="PublishError"):
        writer("publish", str(model), "org/branches", revision="next")
    assert repo.refs == before
    assert ("POST /api/models/org/branches/branch/next" in hub.requests) is made
    hub.faults.clear()
    done = writer("publish", str(model), "org/branches", revision="next")
    assert repo.refs == {**before, "next": done["commit"]}
    del repo.refs["next"]


def test_a_branch_whose_commit_came_without_an_answer_stays(hub: Hub, writer: Client, repo: Repo, model: Path) -> None:
    (model / "metrics.json").write_text("{}")
    hub.faults.append(Fault("POST", "/commit/silent", "silent"))
    with pytest.raises(ClientError, match="PublishError"):
        writer("publish", str(model), "org/branches", revision="silent", message="Once")
    assert repo.messages[repo.refs["silent"]] == "Once"
    assert repo.commits[repo.refs["silent"]]["metrics.json"] == b"{}"


def test_a_branch_that_was_there_stays_when_a_release_fails(hub: Hub, writer: Client, repo: Repo, model: Path) -> None:
    (model / "metrics.json").write_text('{"test": {}}')
    repo.refs["there"] = repo.refs["main"]
    hub.faults.append(Fault("POST", "/commit/there", "403"))
    with pytest.raises(ClientError, match="PublishError"):
        writer("publish", str(model), "org/branches", revision="there")
    assert repo.refs["there"] == repo.refs["main"]


def test_sources_that_the_earlier_release_names_go_and_other_files_stay(hub: Hub, writer: Client, model: Path) -> None:
    custom = [{"kind": "transform", "name": "shout", "module": "own", "files": {"shout.py": "0" * 64}}]
    files = {path.name: path.read_bytes() for path in model.iterdir()}
    settings = {**json.loads(files["processor_config.json"]), "custom": custom}
    there = {"processor_config.json": json.dumps(settings).encode(), "shout.py": b"x", "train.py": b"y"}
    repo = hub.repos["org/sources"] = Repo(private=False)
    repo.add("main", {**files, **there}, "by hand")
    hub.add_blobs(files)
    assert writer("publish", str(model), "org/sources")["removed"] == ["shout.py"]
    assert set(repo.commits[repo.refs["main"]]) == {*files, "train.py"}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    machine = Machine(tmp_path, monkeypatch)
    yield machine
    machine.forget()


def test_the_modules_that_the_run_names_are_imported_to_verify_it(
    machine: Machine, config: RunConfig, tmp_path: Path
) -> None:
    machine.install(entry_points="")
    settings = {**config.processor.model_dump(), "preprocess": ["whisper"]}
    content = {**config.model_dump(exclude_none=True), "processor": settings, "output_dir": str(tmp_path / "runs")}
    content["modules"] = ["loud_texts.changes"]
    folder = train(RunConfig.model_validate(content), console=Console(file=io.StringIO())).model
    machine.forget()
    assert plan_release(folder, "org/loud").release.files.keys() >= {"processor_config.json", "training.yaml"}
    machine.uninstall()
    with pytest.raises(InvalidSpecError, match=r"modules names 'loud_texts\.changes', which cannot be"):
        plan_release(folder, "org/loud")


@pytest.mark.filterwarnings("default:changes since .* was saved may change")
def test_a_saved_source_runs_only_if_it_is_trusted(machine: Machine, config: RunConfig, tmp_path: Path) -> None:
    machine.install()
    from nlp_inference import Transform

    Transform.from_spec("whisper").register_for_auto_class()
    settings = {**config.processor.model_dump(), "preprocess": ["whisper"]}
    content = {**config.model_dump(exclude_none=True), "processor": settings, "output_dir": str(tmp_path / "runs")}
    folder = train(RunConfig.model_validate(content), console=Console(file=io.StringIO())).model
    machine.uninstall()
    with pytest.raises(UnknownTypeError, match="trust_remote_code=True"):
        plan_release(folder, "org/loud")
    with pytest.warns(FingerprintWarning, match=r"loud-texts 1\.2 -> none"):
        plan = plan_release(folder, "org/loud", trust_remote_code=True)
    assert plan.release.code == {"changes.py", "volume.py"}
    evaluate = ["evaluate", str(folder), str(config.data.validation.path)]
    assert CliRunner().invoke(app, evaluate).exit_code == 1
    assert CliRunner().invoke(app, [*evaluate, "--trust-remote-code"]).exit_code == 0


def test_a_settings_file_that_changes_while_the_model_is_verified_is_not_published(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "nlp_inference.golden.require_verified", lambda *_, **__: (model / "config.json").write_text("{}")
    )
    with pytest.raises(PublishError, match=r"'config\.json' changed while the model was being published"):
        plan_release(model, "org/moving")
