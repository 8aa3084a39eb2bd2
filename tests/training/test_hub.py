"""Publishing to and loading from a Hub, which is a server of this machine; every client is a process of its own."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_client import Client, ClientError
from hub_http import Fault
from hub_server import Hub, Repo
from huggingface_hub import ModelCard, metadata_load
from made_up_records import span_records, write_jsonl
from tiny_models import tiny_model

from nlp_inference import Predictor, Processor
from nlp_inference.golden import record_artefact
from nlp_inference.processor.fingerprint import Fingerprint
from nlp_training import RunConfig
from nlp_training.artefact.model_card import model_card
from nlp_training.data_report.split_measures import SplitMeasures
from nlp_training.export import Exported, export_model

WRITER, READER, UNKNOWN = "hf_writer", "hf_reader", "hf_unknown"
TEXTS = ("Ana lives in Rome.", "Bert moved from Oslo to Ulm, " * 9)
SENT = {
    "README.md",
    "config.json",
    "golden.json",
    "metrics.json",
    "model.safetensors",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
}
METRICS = {"test": {"f1": 0.5, "recall": 0.25}}


def make_artefact(folder: Path, processor: Processor, factor: float) -> Path:
    """A model as training leaves it; the factor makes its weights, and so its predictions, its own."""
    model = tiny_model(processor.task)
    with torch.no_grad():
        model.classifier.weight.mul_(factor)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    config = {"name": "tiny", "model": {"base": "org/base"}, "data": {"train": "a.jsonl"}, "processor": {"task": "t"}}
    report = {"train": SplitMeasures(documents=9, annotations=9, sha256="0" * 64)}
    (folder / "README.md").write_text(model_card(RunConfig.model_validate(config), processor, METRICS, report))
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    record_artefact(folder)
    return folder


@pytest.fixture(scope="module")
def first(token_processor: Processor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_artefact(tmp_path_factory.mktemp("first"), token_processor, 1.0)


@pytest.fixture(scope="module")
def second(token_processor: Processor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_artefact(tmp_path_factory.mktemp("second"), token_processor, -1.0)


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    hub = Hub()
    hub.tokens = {WRITER: {"org"}, READER: set()}
    yield hub
    hub.stop()


@pytest.fixture(autouse=True)
def _sound(hub: Hub) -> None:
    """Every test breaks what it wants to see broken, in a Hub that was whole."""
    hub.faults.clear()
    hub.requests.clear()
    hub.ranges.clear()
    hub.in_parts = False


def client(hub: Hub, home: Path, **environment: str) -> Iterator[Client]:
    client = Client(hub.url, home, **environment)
    yield client
    client.close()


@pytest.fixture(scope="module")
def writer(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A process that may write to `org`."""
    yield from client(hub, tmp_path_factory.mktemp("writer"), HF_TOKEN=WRITER)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader keeps what it loaded."""
    return tmp_path_factory.mktemp("reader")


@pytest.fixture(scope="module")
def reader(hub: Hub, home: Path) -> Iterator[Client]:
    """A process without a token, with an empty cache."""
    yield from client(hub, home)


Published = Callable[..., Repo]


@pytest.fixture
def published(hub: Hub) -> Published:
    """Put the files of a folder into a repository, as a release before."""

    def put(repo_id: str, folder: Path, *, private: bool = False) -> Repo:
        repo = hub.repos.setdefault(repo_id, Repo(private))
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        repo.add("main", files, f"release {len(repo.commits)}")
        hub.add_blobs(files)
        return repo

    return put


@pytest.fixture(scope="module")
def local(first: Path, second: Path) -> dict[Path, list[Any]]:
    """What the models predict where they were made."""
    return {
        folder: [
            document.predicted.model_dump(mode="json")
            for document in Predictor.from_pretrained(folder, device="cpu").predict(TEXTS)
        ]
        for folder in (first, second)
    }


def test_what_was_published_predicts_elsewhere_what_it_predicted_here(
    hub: Hub, writer: Client, reader: Client, first: Path, local: dict[Path, list[Any]], tmp_path: Path
) -> None:
    done = writer("publish", str(first), "org/tiny")
    repo = hub.repos["org/tiny"]
    assert done == {
        "url": f"{hub.url}/org/tiny",
        "commit": repo.refs["main"],
        "private": False,
        "pull_request": False,
        "texts": 0,
        "removed": [],
    }
    assert list(repo.messages.values()) == ["initial commit", "Publish the model"]
    assert set(repo.commits[done["commit"]]) == {".gitattributes", *SENT}
    assert reader("predict", "org/tiny", *TEXTS, cache_dir=str(tmp_path)) == local[first]
    assert local[first][1]["spans"]


def test_the_published_card_names_the_model_and_parses(hub: Hub, writer: Client, first: Path, tmp_path: Path) -> None:
    writer("publish", str(first), "org/card")
    readme = hub.repos["org/card"].commits[hub.repos["org/card"].refs["main"]]["README.md"]
    (tmp_path / "README.md").write_bytes(readme)
    assert metadata_load(tmp_path / "README.md") == ModelCard.load(tmp_path / "README.md").data.to_dict()
    assert b'Predictor.from_pretrained("org/card")' in readme
    assert b'pipeline("token-classification", model="org/card")' in readme


def test_plain_transformers_loads_what_was_published(
    published: Published, reader: Client, first: Path, local: dict[Path, list[Any]]
) -> None:
    published("org/plain", first)
    assert reader("pipeline", "org/plain", "Ana lives in Rome.")


def test_a_large_file_goes_in_parts(hub: Hub, writer: Client, second: Path) -> None:
    hub.in_parts = True
    writer("publish", str(second), "org/parts")
    sent = hub.repos["org/parts"].commits[hub.repos["org/parts"].refs["main"]]
    assert sent["model.safetensors"] == (second / "model.safetensors").read_bytes()
    assert sum("PUT /lfs/" in request for request in hub.requests) > 1


def test_a_branch_and_a_commit_give_the_model_of_then(
    hub: Hub, writer: Client, reader: Client, first: Path, second: Path, local: dict[Path, list[Any]]
) -> None:
    before = writer("publish", str(first), "org/moving")["commit"]
    assert writer("publish", str(second), "org/moving", revision="next")["url"] == f"{hub.url}/org/moving/tree/next"
    assert reader("predict", "org/moving", *TEXTS) == local[first]
    assert reader("predict", "org/moving", *TEXTS, revision="next") == local[second]
    writer("publish", str(second), "org/moving")
    assert reader("predict", "org/moving", *TEXTS) == local[second]
    assert reader("predict", "org/moving", *TEXTS, revision=before) == local[first]
    with pytest.raises(ClientError, match="ArtefactError: 'org/moving' has no branch, tag or commit 'nowhere'"):
        reader("predict", "org/moving", revision="nowhere")


def test_a_pull_request_leaves_the_branch_alone(hub: Hub, writer: Client, first: Path, second: Path) -> None:
    before = writer("publish", str(first), "org/asked")["commit"]
    done = writer("publish", str(second), "org/asked", create_pr=True)
    refs = hub.repos["org/asked"].refs
    assert (refs["main"], refs["refs/pr/1"]) == (before, done["commit"])
    assert (done["url"], done["pull_request"]) == (f"{hub.url}/org/asked/discussions/1", True)


def test_what_an_earlier_release_left_goes_with_the_same_commit(
    hub: Hub, writer: Client, published: Published, first: Path
) -> None:
    repo = published("org/shards", first)
    shards = {"model-00001-of-00002.safetensors": b"old", "vocab.txt": b"old", "LICENSE": b"mine"}
    repo.add("main", {**repo.commits[repo.refs["main"]], **shards}, "by hand")
    done = writer("publish", str(first), "org/shards")
    assert done["removed"] == ["model-00001-of-00002.safetensors", "vocab.txt"]
    assert set(repo.commits[done["commit"]]) == {*SENT, "LICENSE"}


def test_what_was_exported_is_published_and_loads_without_the_weights(
    hub: Hub, writer: Client, reader: Client, first: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(first, model)
    processor = Processor.from_pretrained(model)
    fingerprint = Fingerprint.of(processor, weights=[model / "model.safetensors"], runtime="torch", folder=model)
    processor.with_fingerprint(fingerprint).save_pretrained(model)
    data = write_jsonl(tmp_path / "validation.jsonl", span_records("validation", 4))
    assert all(
        isinstance(one, Exported)
        for one in export_model(model, dtypes=("float32", "int8"), data=str(data), max_drop=100)
    )
    (model / "onnx" / "notes.txt").write_text("mine")
    done = writer("publish", str(model), "org/exported")
    repo = hub.repos["org/exported"]
    exports = {"onnx/model.onnx", "onnx/model.golden.json", "onnx/model_int8.onnx", "onnx/model_int8.golden.json"}
    assert set(repo.commits[done["commit"]]) == {".gitattributes", *SENT, *exports}
    cache = tmp_path / "cache"
    for dtype in ("float32", "int8"):
        here = Predictor.from_pretrained(model, backend="onnx", dtype=dtype).predict(TEXTS)
        options = {"backend": "onnx", "dtype": dtype, "verify": True, "cache_dir": str(cache)}
        assert reader("predict", "org/exported", *TEXTS, **options) == [
            document.predicted.model_dump(mode="json") for document in here
        ]
    assert not list(cache.rglob("model.safetensors"))
    graph = (model / "onnx" / "model_int8.onnx").read_bytes()
    (model / "onnx" / "model_int8.onnx").write_bytes(graph + b"\0")
    with pytest.raises(ClientError, match=r"'model_int8\.onnx' of .* is not the file that was exported and verified"):
        writer("publish", str(model), "org/exported")
    shutil.rmtree(model / "onnx")
    assert writer("publish", str(model), "org/exported")["removed"] == sorted(exports)


def test_a_private_model_is_told_only_to_those_who_may_see_it(
    writer: Client, reader: Client, first: Path, local: dict[Path, list[Any]], tmp_path: Path
) -> None:
    assert writer("publish", str(first), "org/secret", private=True)["private"] is True
    for function in ("predict", "task", "weights"):
        with pytest.raises(
            ClientError, match=r"ArtefactError: 'org/secret' .* check the name; if it is private, log in"
        ):
            reader(function, "org/secret")
    with pytest.raises(ClientError, match="does not accept the token that was passed for 'org/secret'; log in with"):
        reader("predict", "org/secret", token=UNKNOWN)
    assert reader("predict", "org/secret", *TEXTS, token=READER, cache_dir=str(tmp_path)) == local[first]


@pytest.mark.parametrize(
    ("repo_id", "options", "message"),
    [
        ("other/tiny", {}, r"your token may not write to 'other/tiny'; use one with write access"),
        ("org/open", {"token": READER}, r"your token may not write to 'org/open'"),
        ("org/open", {"token": UNKNOWN}, r"the Hub does not accept your token; log in with `hf auth login`"),
        ("org/open", {"private": True}, r"'org/open' is already public, .* make it private on .*/org/open/settings"),
        ("or g/tiny", {}, r"'or g/tiny' is not a Hub id; write org/model"),
        ("tiny", {}, r"'tiny' is not a Hub id; write org/model"),
        ("org/open", {"create_pr": True, "revision": "next"}, r"against 'main', but the revision is 'next'"),
    ],
)
def test_what_cannot_be_published_is_told(
    hub: Hub, writer: Client, published: Published, first: Path, repo_id: str, options: dict[str, Any], message: str
) -> None:
    repo = published("org/open", first)
    before = dict(repo.refs)
    with pytest.raises(ClientError, match=f"PublishError: .*{message}"):
        writer("publish", str(first), repo_id, **options)
    assert repo.refs == before
    assert "other/tiny" not in hub.repos


def test_without_a_token_nothing_is_asked(hub: Hub, reader: Client, first: Path) -> None:
    with pytest.raises(
        ClientError, match="there is no token to publish with; log in with `hf auth login`, or set HF_TOKEN"
    ):
        reader("publish", str(first), "org/tiny")
    assert hub.requests == []


def test_the_command_shows_what_it_sends_and_where_it_is(hub: Hub, writer: Client, first: Path) -> None:
    shown = writer("command", "publish", str(first), "org/shown", "--dry-run")
    assert shown["exit"] == 0
    assert hub.requests == []
    assert set(shown["err"].split()) >= SENT
    done = writer("command", "publish", str(first), "org/shown", "--private", "--message", "First", "--json")
    answer = json.loads(done["out"])
    repo = hub.repos["org/shown"]
    assert (answer["url"], answer["private"]) == (f"{hub.url}/org/shown", True)
    assert repo.messages[answer["commit"]] == "First"
    assert writer("command", "publish", str(first), "org/shown")["out"] == f"{hub.url}/org/shown\n"
    refused = writer("command", "publish", str(first), "other/shown")
    assert (refused["exit"], refused["out"]) == (1, "")
    assert "PublishError: your token may not write to 'other/shown'" in " ".join(refused["err"].split())


def test_a_processor_pushed_alone_comes_back(writer: Client, reader: Client, first: Path) -> None:
    writer("push_processor", str(first), "org/processor")
    assert reader("task", "org/processor") == reader("auto_task", "org/processor") == reader("task", str(first))


def test_a_processor_of_a_finished_model_is_not_pushed_alone(hub: Hub, writer: Client, first: Path) -> None:
    with pytest.raises(ClientError, match=r"PublishError: .* publish the model with: nlp-training publish"):
        writer("push_processor", str(first), "org/unverified", fingerprint={"unicode": "15.0.0"})
    assert hub.requests == []


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ([Fault("PUT", "/lfs/", "cut"), Fault("PUT", "/lfs/", "403", times=9)], "may not write|expired"),
        ([Fault("POST", "/commit/main", "cut")], "could not be published: .*(disconnected|reset|closed)"),
        ([Fault("POST", "/info/lfs", "403")], "this link has expired"),
    ],
    ids=["in the weights", "in the commit", "before the weights"],
)
def test_a_cut_upload_publishes_nothing(
    hub: Hub,
    writer: Client,
    published: Published,
    first: Path,
    second: Path,
    faults: list[Fault],
    message: str,
) -> None:
    repo = published("org/cut", first)
    before, commits = dict(repo.refs), len(repo.commits)
    hub.forget(second / "model.safetensors")
    hub.faults = faults
    with pytest.raises(
        ClientError, match=f"(?s)PublishError: .*({message}).*one atomic commit: the Hub has all of it or nothing"
    ):
        writer("publish", str(second), "org/cut")
    assert (repo.refs, len(repo.commits)) == (before, commits)
    assert all(not fault.times or fault.times < 9 for fault in faults)
    hub.faults.clear()
    done = writer("publish", str(second), "org/cut")
    assert repo.commits[done["commit"]]["model.safetensors"] == (second / "model.safetensors").read_bytes()


def test_an_answer_that_is_lost_does_not_publish_twice(
    hub: Hub, writer: Client, published: Published, first: Path
) -> None:
    repo = published("org/lost", first)
    hub.faults.append(Fault("POST", "/commit/main", "silent"))
    with pytest.raises(ClientError, match="PublishError"):
        writer("publish", str(first), "org/lost", message="Once")
    assert list(repo.messages.values()).count("Once") == 1
    assert writer("publish", str(first), "org/lost", message="Once")["commit"] == repo.refs["main"]
    assert list(repo.messages.values()).count("Once") == 1


def test_somebody_else_who_publishes_meanwhile_is_not_overwritten(
    hub: Hub, writer: Client, published: Published, first: Path, second: Path
) -> None:
    repo = published("org/race", first)
    hub.before["/preupload/"] = lambda: repo.add("main", {"README.md": b"theirs"}, "theirs")
    try:
        with pytest.raises(
            ClientError, match=r"'org/race' .* was changed while this was being published; publish again"
        ):
            writer("publish", str(second), "org/race")
    finally:
        hub.before.clear()
    assert repo.messages[repo.refs["main"]] == "theirs"


@pytest.mark.parametrize(
    "faults",
    [
        [Fault("GET", "/cdn/", "cut"), Fault("GET", "/cdn/", "403", times=9)],
        [Fault("GET", "/cdn/", "short")],
        [Fault("GET", "tokenizer_config.json", "cut"), Fault("GET", "tokenizer_config.json", "403", times=9)],
        [Fault("HEAD", "special_tokens|tokenizer_config.json", "403", times=9)],
        [Fault("GET", "/tree/", "403")],
        [Fault("GET", "/cdn/", "damage")],
        [Fault("GET", "/resolve/.*/tokenizer.json", "damage")],
    ],
    ids=[
        "cut weights",
        "short weights",
        "cut settings",
        "refused settings",
        "refused list",
        "damaged weights",
        "damaged settings",
    ],
)
def test_a_cut_download_is_never_loaded(
    hub: Hub,
    reader: Client,
    published: Published,
    first: Path,
    local: dict[Path, list[Any]],
    faults: list[Fault],
    tmp_path: Path,
) -> None:
    published("org/down", first)
    hub.faults = faults
    with pytest.raises(ClientError, match=r"ArtefactError: .*'org/down'"):
        reader("predict", "org/down", cache_dir=str(tmp_path))
    assert not list(tmp_path.rglob("*.incomplete"))
    with pytest.raises(ClientError, match=r"ArtefactError: .*the cached revision 'main' is incomplete"):
        reader("predict", "org/down", cache_dir=str(tmp_path), local_files_only=True)
    hub.faults.clear()
    assert reader("predict", "org/down", *TEXTS, cache_dir=str(tmp_path)) == local[first]


@pytest.mark.parametrize("path", ["/cdn/", "/resolve/.*/tokenizer.json"], ids=["weights", "settings"])
def test_what_is_fetched_again_is_checked_again(
    hub: Hub, reader: Client, published: Published, first: Path, tmp_path: Path, path: str
) -> None:
    published("org/again", first)
    whole = reader("fetch", "org/again", cache_dir=str(tmp_path))
    assert reader("fetch", "org/again", cache_dir=str(tmp_path), force_download=True) == whole
    hub.faults.append(Fault("GET", path, "damage"))
    with pytest.raises(ClientError, match=r"ArtefactError: the download of 'org/again' is damaged: 1 file"):
        reader("fetch", "org/again", cache_dir=str(tmp_path), force_download=True)
    assert reader("fetch", "org/again", cache_dir=str(tmp_path)) == whole


@pytest.mark.parametrize(
    ("function", "kept", "missing"),
    [
        ("task", {"tokenizer.json", "tokenizer_config.json"}, r"has no processor_config\.json"),
        ("task", {"processor_config.json", "tokenizer_config.json"}, r"has no tokenizer\.json"),
        ("predict", SENT - {"config.json"}, r"has no config\.json"),
        ("predict", SENT - {"model.safetensors"}, "has no weights"),
    ],
)
def test_a_cache_that_others_filled_in_part_is_not_loaded(
    hub: Hub,
    reader: Client,
    published: Published,
    first: Path,
    tmp_path: Path,
    function: str,
    kept: set[str],
    missing: str,
) -> None:
    commit = published("org/half", first).refs["main"]
    snapshot = tmp_path / "models--org--half" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (tmp_path / "models--org--half" / "refs").mkdir()
    (tmp_path / "models--org--half" / "refs" / "main").write_text(commit)
    for name in kept:
        (snapshot / name).write_bytes((first / name).read_bytes())
    with pytest.raises(ClientError, match=rf"ArtefactError: .*{missing}"):
        reader(function, "org/half", cache_dir=str(tmp_path), local_files_only=True)
    assert hub.requests == []


def test_a_download_that_is_cut_once_goes_on_where_it_was(hub: Hub, reader: Client, tmp_path: Path) -> None:
    content = bytes(range(256)) * (24 * 2**12)  # the client keeps what came in pieces of 10 MiB
    hub.repos["org/large"] = Repo(private=False)
    hub.repos["org/large"].add("main", {"model.safetensors": content}, "large")
    hub.add_blobs({"model.safetensors": content})
    hub.faults.append(Fault("GET", "/cdn/", "cut"))
    assert reader("weights_sha256", "org/large", cache_dir=str(tmp_path)) == hashlib.sha256(content).hexdigest()
    assert hub.ranges == [f"bytes={10 * 2**20}-"]


def test_what_was_loaded_once_loads_without_the_hub(
    hub: Hub, reader: Client, home: Path, published: Published, first: Path, second: Path, local: dict[Path, list[Any]]
) -> None:
    published("org/kept", first)
    assert reader("predict", "org/kept", *TEXTS) == local[first]
    hub.requests.clear()
    assert reader("predict", "org/kept", *TEXTS) == local[first]
    assert hub.requests == ["GET /api/models/org/kept/revision/main"]  # whether the branch moved, and nothing more
    published("org/kept", second)
    assert reader("predict", "org/kept", *TEXTS, local_files_only=True) == local[first]
    assert reader("predict", "org/kept", *TEXTS) == local[second]
    with hub.down(), closing(Client(hub.url, home, HF_HUB_OFFLINE="1")) as offline:
        for client in (reader, offline):
            assert client("predict", "org/kept", *TEXTS) == local[second]
            assert client("task", "org/kept")["labels"] == ["PERSON", "CITY"]
            assert len(client("weights", "org/kept")) == 23
            with pytest.raises(ClientError, match="ArtefactError: 'org/never' is not a local folder, the cache"):
                client("task", "org/never")
    assert reader("predict", "org/kept", *TEXTS) == local[second]
