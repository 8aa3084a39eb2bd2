"""Data sets of the Hub: a run has one commit of each, says which, and trains on no other when it is repeated."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_client import Client, ClientError
from hub_server import Hub, Repo
from made_up_records import label_records, write_jsonl

from nlp_training import RunConfig, load_config
from nlp_training.config import DataConfig, save_config
from nlp_training.config.search import SearchConfig
from nlp_training.data import DataSource
from nlp_training.data.fingerprint import synthetic_sha256
from nlp_training.provenance import pinned_data
from nlp_training.provenance.manifest import DataPrint, RunManifest
from nlp_training.provenance.pinned_data import pin_data, unpinned_lines
from nlp_training.reports.html.facts import manifest_facts
from nlp_training.runs.materials import Materials
from nlp_training.runs.record import data_prints
from nlp_training.runs.reproduction import data_rows
from nlp_training.search.run import search

ONE, TWO = "1" * 40, "2" * 40


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reader")


def client(hub: Hub, home: Path, **environment: str) -> Iterator[Client]:
    client = Client(hub.url, home, **environment)
    yield client
    client.close()


@pytest.fixture(scope="module")
def reader(hub: Hub, home: Path) -> Iterator[Client]:
    yield from client(hub, home)


@pytest.fixture(scope="module")
def offline(hub: Hub, home: Path) -> Iterator[Client]:
    """A process with the cache of the other one, that may not ask the Hub."""
    yield from client(hub, home, HF_HUB_OFFLINE="1")


def put(hub: Hub, name: str, *texts: str) -> str:
    """Commit these training documents to a data set."""
    repo = hub.repos.setdefault(f"datasets/{name}", Repo(private=False))
    lines = [json.dumps({"text": text, "label": "a"}) for text in texts]
    return repo.add("main", {"train.jsonl": "\n".join(lines).encode()}, f"{len(repo.commits)} {texts}")


def test_a_name_stands_for_the_commit_that_it_names_now(hub: Hub, reader: Client, offline: Client) -> None:
    one = put(hub, "org/named", "old")
    hub.repos["datasets/org/named"].refs["v1"] = one
    assert [reader("find_commit", "org/named", name) for name in (None, "main", "v1")] == [one, one, one]
    two = put(hub, "org/named", "new")
    assert [reader("find_commit", "org/named", name) for name in (None, "main", "v1")] == [two, two, one]
    assert [reader("find_commit", *asked) for asked in (("org/none",), ("org/named", "v2"), ("a--b",))] == [None] * 3
    with hub.down():
        assert reader("find_commit", "org/named") is None
    hub.requests.clear()
    assert offline("find_commit", "org/named") is None
    assert hub.requests == []


@pytest.mark.parametrize("streaming", [False, True])
def test_a_commit_is_read_and_no_other(hub: Hub, reader: Client, offline: Client, streaming: bool) -> None:
    name = f"org/set_{streaming}".lower()
    one, two = put(hub, name, "old"), put(hub, name, "new")
    assert reader("texts", {"path": name, "revision": one}, streaming=streaming) == ["old"]
    assert reader("texts", {"path": name}, streaming=streaming) == ["new"]
    with pytest.raises(
        ClientError, match=rf"InvalidDataError: {name} \[train\] cannot be loaded: DatasetNotFoundError"
    ):
        reader("texts", {"path": name, "revision": ONE}, streaming=streaming)
    reader("texts", {"path": name, "revision": two}, streaming=False)  # now the cache has this one
    assert offline("texts", {"path": name, "revision": two}, streaming=streaming) == ["new"]
    message = (
        rf"the Hub did not return its commit {one}, and the cache of datasets contains {two} instead; load it with"
    )
    with pytest.raises(ClientError, match=message):
        offline("texts", {"path": name, "revision": one}, streaming=streaming)


@pytest.mark.parametrize(
    ("path", "hub_id"),
    [
        ("org/set", "org/set"),
        ("set", "set"),
        ("hf://datasets/org/set", "org/set"),
        ("buckets/org/bucket/set", None),
        ("missing/train.jsonl", None),
        ("missing/train.json", None),
        ("missing/train.parquet", None),
        (str(Path(__file__).parent), None),
        (__file__, None),
    ],
)
def test_what_is_on_the_hub(path: str, hub_id: str | None) -> None:
    assert DataSource(path=path, revision=ONE).hub_id == hub_id
    assert DataSource(path=path, revision=ONE).commit == (None if hub_id is None else ONE)
    assert DataSource(path=path, revision="main").commit is None


class Names:
    """What the Hub says that branches and tags name, and what it was asked."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str | None], str] = {}
        self.asked: list[tuple[str, str | None]] = []

    def find(self, hub_id: str, revision: str | None) -> str | None:
        self.asked.append((hub_id, revision))
        return self.known.get((hub_id, revision))


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(pinned_data, "find_commit", names.find)
    return names


def revisions(config: RunConfig) -> dict[str, str | None]:
    return {name: source.revision for name, (source, _) in config.data.sources().items()}


def with_data(run: RunConfig, **data: Any) -> RunConfig:
    return run.model_copy(update={"data": DataConfig.model_validate(data)})


def test_every_split_is_pinned_and_each_name_asked_for_once(label_run: RunConfig, names: Names) -> None:
    names.known = {("org/set", None): ONE, ("org/set", "v1"): TWO}
    run = with_data(
        label_run,
        train="org/set",
        validation={"path": "org/set", "split": "dev"},
        test={
            "tagged": {"path": "org/set", "revision": "v1"},
            "pinned": {"path": "org/other", "revision": "f" * 40},
            "unknown": {"path": "org/none", "revision": "main"},
            "local": str(label_run.data.train.path),
            "made": {"synthetic_pii": {"split": "test", "size": 3}},
        },
    )
    pinned = pin_data(run)
    others = {"tagged": TWO, "pinned": "f" * 40, "unknown": "main", "local": None, "made": None}
    assert revisions(pinned) == {"train": ONE, "validation": ONE, **others}
    assert names.asked == [("org/set", None), ("org/set", "v1"), ("org/none", "main")]
    assert [line.partition(",")[0] for line in unpinned_lines(pinned.data)] == [
        "data.unknown: the commit of org/none is unknown"
    ]
    names.asked.clear()
    assert pin_data(pinned) == pinned
    assert names.asked == [("org/none", "main")]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ({}, ONE),  # without a name, it is that of the run
        ({"revision": "moved"}, TWO),
        ({"revision": "unknown"}, ONE),  # as where the Hub cannot be reached
        ({"revision": "f" * 40}, "f" * 40),
        ({"split": "dev"}, TWO),
    ],
)
def test_a_run_that_goes_on_has_the_commit_that_it_began_with(
    label_run: RunConfig, names: Names, source: dict[str, str], found: str
) -> None:
    names.known = {("org/set", None): TWO, ("org/set", "moved"): TWO}
    label_run.folder.mkdir(parents=True)
    save_config(with_data(label_run, train={"path": "org/set", "revision": ONE}), label_run.folder / "config.yaml")
    run = with_data(label_run, train={"path": "org/set", **source})
    assert revisions(pin_data(run, resume=True)) == {"train": found}
    assert revisions(pin_data(with_data(label_run, train="org/set"))) == {"train": TWO}  # another run, in its place


@pytest.mark.parametrize(("streaming", "found"), [(False, None), (True, TWO)])
def test_a_run_that_began_without_a_commit_goes_on_so_if_its_documents_have_a_digest(
    label_run: RunConfig, names: Names, streaming: bool, found: str | None
) -> None:
    names.known = {("org/set", None): TWO}
    run = with_data(label_run, train={"path": "org/set", "streaming": streaming})
    run.folder.mkdir(parents=True)
    save_config(run, run.folder / "config.yaml")
    assert revisions(pin_data(run, resume=True)) == {"train": found}


def test_a_run_that_goes_on_without_a_configuration_asks(label_run: RunConfig, names: Names) -> None:
    names.known = {("org/set", None): TWO}
    run = with_data(label_run, train="org/set")
    assert revisions(pin_data(run, resume=True)) == {"train": TWO}
    label_run.folder.mkdir(parents=True)
    (label_run.folder / "config.yaml").write_text("name: [")
    assert revisions(pin_data(run, resume=True)) == {"train": TWO}


def test_a_search_begins_with_the_commits_of_now(
    label_run: RunConfig, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BegunError(Exception):
        pass

    def begin(config: RunConfig) -> None:
        raise BegunError(revisions(config))

    names.known = {("org/set", None): ONE}
    monkeypatch.setattr(Materials, "of", begin)
    settings = {"space": {"training.learning_rate": {"choices": [1e-3, 1e-2]}}, "trials": 1}
    run = with_data(label_run, train="org/set", validation={"path": "org/set", "revision": TWO})
    with pytest.raises(BegunError) as begun:
        search(run.model_copy(update={"search": SearchConfig.model_validate(settings)}))
    assert begun.value.args == ({"train": ONE, "validation": TWO},)


def test_what_identifies_a_stream(label_run: RunConfig) -> None:
    def prints(**source: Any) -> dict[str, DataPrint]:
        return data_prints(with_data(label_run, train={**source, "streaming": True}), {})

    assert prints(path="org/set", revision=ONE) == {"train": DataPrint(commit=ONE)}
    assert prints(path="org/set", revision="main") == {}
    made = {"split": "train", "size": 3}
    found = prints(synthetic_pii=made)
    assert found == prints(synthetic_pii=made) == {"train": DataPrint(sha256=found["train"].sha256)}
    assert found != prints(synthetic_pii={**made, "seed": 1})


def test_other_code_templates_or_faker_change_the_digest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = DataSource.model_validate({"synthetic_pii": {"split": "train", "size": 3}}).synthetic_pii
    assert made is not None
    before = synthetic_sha256(made)
    with monkeypatch.context() as patch:
        patch.setattr("faker.VERSION", "0")
        assert synthetic_sha256(made) != before
    with monkeypatch.context() as patch:
        patch.setattr("nlp_training.data.fingerprint.module_digest", lambda source: str(len(source)))
        assert synthetic_sha256(made) != before
    with monkeypatch.context() as patch:  # the digest of each file of templates
        patch.setattr("nlp_training.data.fingerprint.file_digest", lambda path: path.name)
        assert synthetic_sha256(made) != before


def test_another_commit_is_other_data() -> None:
    [row] = data_rows({"train": DataPrint(commit=ONE)}, {"train": DataPrint(commit=TWO)})
    assert not row.same
    assert (row.before, row.now) == (f"streamed documents, commit {ONE}", f"streamed documents, commit {TWO}")
    with pytest.raises(ValueError, match="set either sha256 or commit"):
        DataPrint(documents=3)
    assert DataPrint.model_validate_json('{"sha256": "ab", "documents": 3}') == DataPrint(sha256="ab", documents=3)


def write_run(folder: Path, base: Path, validation: Path, **train: Any) -> Path:
    """The configuration of a run on a stream of the Hub, seconds long."""
    config = RunConfig.model_validate(
        {
            "name": "streamed",
            "output_dir": str(folder / "runs"),
            "cpu_threads": 1,
            "model": {"base": str(base)},
            "data": {"train": {"path": "org/train", "streaming": True, **train}, "validation": str(validation)},
            "processor": {"task": {"text-classification": {"labels": ["farewell", "greeting"]}}},
            "training": {"max_steps": 2, "save_steps": 1, "per_device_train_batch_size": 4, "bf16": False},
            "golden": {"records": 0},
        }
    )
    save_config(config, folder / "run.yaml")
    return folder / "run.yaml"


@pytest.mark.slow
def test_a_streamed_run_has_one_commit_until_its_end_and_when_it_is_repeated(
    hub: Hub, reader: Client, tiny_base: Path, tmp_path: Path
) -> None:
    def commit(seed: str) -> str:
        repo = hub.repos.setdefault("datasets/org/train", Repo(private=False))
        lines = write_jsonl(tmp_path / "train.jsonl", label_records(seed, 16)).read_bytes()
        return repo.add("main", {"train.jsonl": lines}, f"{len(repo.commits)} documents")

    def run(*words: str) -> dict[str, Any]:
        done: dict[str, Any] = reader("command", *words)
        done["err"] = " ".join(done["err"].split())
        return done

    one = commit("train")
    validation = write_jsonl(tmp_path / "validation.jsonl", label_records("validation", 4))
    config, folder = write_run(tmp_path, tiny_base, validation), tmp_path / "runs" / "streamed"
    assert run("train", str(config))["exit"] == 0
    assert load_config(folder / "config.yaml").data.train.revision == one
    assert load_config(folder / "model" / "training.yaml").data.train.revision == one
    manifest = RunManifest.load(folder)
    assert manifest.data["train"] == DataPrint(commit=one)
    assert manifest_facts(manifest)["data"].startswith(f"train commit {one[:12]}…, validation sha256 ")

    two = commit("test")
    resumed = run("train", str(config), "--resume")
    assert (resumed["exit"], RunManifest.load(folder).resumed[0].step) == (0, 2)
    assert load_config(folder / "config.yaml").data.train.revision == one
    assert RunManifest.load(folder).weights == manifest.weights
    for revision in ("main", two):
        refused = run("train", str(config), f"data.train.revision={revision}", "--resume")
        assert refused["exit"] == 1
        assert f"data.train.revision {one} -> {two}, the documents of train; undo it" in refused["err"]

    repeated = run("reproduce", str(folder), "--output-dir", str(tmp_path / "again"))
    assert repeated["exit"] == 0
    assert RunManifest.load(tmp_path / "again" / "streamed").data["train"] == DataPrint(commit=one)
    manifest.model_copy(update={"data": {**manifest.data, "train": DataPrint(commit=two)}}).save(folder)
    refused = run("reproduce", str(folder))
    assert refused["exit"] == 2
    told = f"train had streamed documents, commit {two}, and now has streamed documents, commit {one}; restore them"
    assert told in refused["err"]

    assert run("train", str(config), "--overwrite")["exit"] == 0
    assert RunManifest.load(folder).data["train"] == DataPrint(commit=two)


def test_a_data_set_that_does_not_exist_is_told_as_before(reader: Client, tiny_base: Path, tmp_path: Path) -> None:
    validation = write_jsonl(tmp_path / "validation.jsonl", label_records("validation", 4))
    config = write_run(tmp_path, tiny_base, validation, path="org/none", streaming=False)
    done = reader("command", "train", str(config))
    message = "org/none [train] cannot be loaded: DatasetNotFoundError: Dataset 'org/none' doesn't exist on the Hub"
    assert done["exit"] == 1
    assert message in " ".join(done["err"].split())
