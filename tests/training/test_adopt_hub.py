"""Adoption from a local Hub server; the client runs in its own process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_client import Client
from hub_server import Hub, Repo
from huggingface_hub import ModelCard
from stock_models import save_stock

from nlp_training import load_config

READER = "hf_reader"
REFUSED = (
    ("org/unknown", (), ("check the name; if it is private, log in with `hf auth login`",)),
    ("org/secret", (), ("'org/secret' is not a local folder and not a model on", "if it is private, log in with")),
    ("org/gated", (), ("'org/gated' is gated: request access on", "/org/gated, then log in with")),
    ("org/ner", ("--revision", "v9"), ("'org/ner' has no branch, tag or commit 'v9'", "/org/ner/commits lists them")),
    ("org/pickled", (), ("'org/pickled' has no weights in safetensors", "huggingface.co/spaces/safetensors/convert")),
    ("org/no tokenizer", (), ("not a valid Hub id; pass a folder or an id like 'org/model'",)),
)


def put(hub: Hub, repo_id: str, folder: Path, *, ref: str = "main", private: bool = False) -> Repo:
    """Add a commit with the files of a folder."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.add_blobs(files)
    repo = hub.repos.setdefault(repo_id, Repo(private))
    repo.add(ref, files, f"commit {len(repo.commits)}")
    return repo


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub with a tagged model, whose branch has other weights, and with private models."""
    hub = Hub()
    hub.tokens = {READER: set()}
    stock = save_stock(tmp_path_factory.mktemp("stock"), names=("O", "B-PER", "I-PER"))
    other = save_stock(tmp_path_factory.mktemp("other"), names=("O", "B-CITY", "I-CITY"))
    put(hub, "org/ner", stock, ref="v1")
    put(hub, "org/ner", other)
    put(hub, "org/secret", stock, private=True)
    put(hub, "org/gated", stock).gated = True
    (other / "model.safetensors").rename(other / "pytorch_model.bin")
    put(hub, "org/pickled", other)
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the cache and the stored token of the reader."""
    return tmp_path_factory.mktemp("reader")


@pytest.fixture(scope="module")
def reader(hub: Hub, home: Path) -> Iterator[Client]:
    """A process without a token, with an empty cache."""
    client = Client(hub.url, home)
    yield client
    client.close()


def adopt(client: Client, *arguments: str) -> dict[str, Any]:
    done: dict[str, Any] = client("command", "adopt", *arguments)
    done["err"] = " ".join(done["err"].split())
    return done


def test_a_tagged_model_becomes_an_artefact_that_names_its_commit(hub: Hub, reader: Client, tmp_path: Path) -> None:
    commit = hub.repos["org/ner"].refs["v1"]
    out = tmp_path / "out"
    data = tmp_path / "gold.jsonl"
    spans = [{"start": 0, "end": 3, "label": "PER"}]
    data.write_text("".join(json.dumps({"text": f"Ana met {one}", "spans": spans}) + "\n" for one in range(4)))
    done = adopt(reader, "org/ner", str(out), "--revision", "v1", "--scheme", "BIO", "--data", str(data))
    assert done["exit"] == 0, done["err"]
    record = json.loads((out / "adoption.json").read_text())
    assert (record["source"], record["revision"], record["commit"]) == ("org/ner", "v1", commit)
    card = ModelCard.load(out / "README.md")
    assert card.data.base_model == "org/ner"
    assert f"Adopted from `org/ner` (commit `{commit}`) with nlp-inference" in card.text
    assert f"at commit <code>{commit[:12]}</code>" in (out / "adopt.html").read_text()
    base = load_config(out / "training.yaml").model
    assert (base.base, base.revision) == ("org/ner", commit)
    [predicted] = reader("predict", str(out), "Ana lives in Rome", verify=True)
    assert {span["label"] for span in predicted["spans"]} <= {"PER"}


def test_settings_and_weights_are_those_of_one_commit(hub: Hub, reader: Client, tmp_path: Path) -> None:
    """Between both downloads, the branch gets a model with other labels."""
    repo = hub.repos["org/ner"]
    before, tagged = repo.refs["main"], repo.refs["v1"]
    hub.before["/resolve/"] = lambda: repo.refs.update(main=tagged)
    try:
        done = adopt(reader, "org/ner", str(tmp_path / "out"), "--scheme", "BIO", "--dry-run", "--json")
    finally:
        hub.before.clear()
        repo.refs["main"] = before
    assert done["exit"] == 0, done["err"]
    record = json.loads(done["out"])
    assert record["commit"] == before
    assert "CITY" in {one["subject"]: one["value"] for one in record["deductions"]}["labels"]


@pytest.mark.parametrize(("repo_id", "options", "parts"), REFUSED)
def test_what_cannot_be_read_states_what_to_do(
    repo_id: str, options: tuple[str, ...], parts: tuple[str, ...], reader: Client, tmp_path: Path
) -> None:
    done = adopt(reader, repo_id, str(tmp_path / "out"), *options)
    assert done["exit"] == 1
    for part in parts:
        assert part in done["err"]
    assert "Traceback" not in done["err"]
    assert list(tmp_path.iterdir()) == []


def test_a_token_opens_a_private_model_but_not_a_gated_one(home: Path, reader: Client, tmp_path: Path) -> None:
    (home / "token").write_text(READER)
    try:
        private = adopt(reader, "org/secret", str(tmp_path / "out"), "--scheme", "BIO", "--dry-run")
        gated = adopt(reader, "org/gated", str(tmp_path / "gated"))
    finally:
        (home / "token").unlink()
    assert private["exit"] == 0, private["err"]
    assert "'org/gated' is gated: request access on" in gated["err"]
