"""A source cut into shards gives every document one record, however it is cut, and whatever dies.

Ray itself is tried in test_ray_cluster.py; here an actor is called as Ray calls it.
"""

import gzip
import io
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from typer.testing import CliRunner

from nlp_inference.cli import app
from nlp_inference.document.inputs import UnreadableItem
from nlp_inference.errors import ArtefactError, JobError, OutputError, SourceError
from nlp_inference.files.formats import FileFormat
from nlp_inference.files.reading import open_source
from nlp_inference.files.records import USUAL, Columns, read_items, to_json_line
from nlp_inference.integrations.ray.job import Job, PinnedModel, ShardPredictor, pin_model
from nlp_inference.integrations.ray.parts import PartFiles, ShardReport, check_complete
from nlp_inference.integrations.ray.plan import Plan, Shard, SourceFile, source_files
from nlp_inference.integrations.ray.ray_engine import Actors, place_actors
from nlp_inference.integrations.ray.reading import ShardItems

TEXTS = [f"Ana number {number} lives in Rome" for number in range(23)]


def lines_of(texts: list[str]) -> bytes:
    return b"".join(
        json.dumps({"id": f"d{number}", "text": text}).encode() + b"\n" for number, text in enumerate(texts)
    )


def plan_for(files: tuple[SourceFile, ...], **changed) -> Plan:
    given = {"model": "m", "backend": "torch", "dtype": "float32", "output_format": "jsonl", "files": files}
    return Plan(**{**given, "shard_bytes": 100, "shard_rows": 4, **changed})


def texts_and_ids(items) -> list[tuple[str, str]]:
    return [(item.id, "") if isinstance(item, UnreadableItem) else (item["id"], item["raw_text"]) for item in items]


@settings(max_examples=60)
@given(
    st.lists(st.text(st.sampled_from("aé{\n\r\ufeff \U0001f600"), max_size=12), max_size=8),
    st.integers(1, 40),
    st.booleans(),
)
def test_however_lines_are_cut_each_is_read_once_and_in_order(lines: list[str], shard_bytes: int, ends: bool) -> None:
    content = ("\n".join(lines) + "\n" * ends).encode()
    fsspec.filesystem("memory").pipe("/cut/in.txt", content)
    plan = plan_for(source_files("memory://cut/in.txt"), shard_bytes=shard_bytes)
    found, reports = [], []
    for shard in plan.shards():
        items = ShardItems(shard, columns=USUAL)
        found += list(items)
        reports.append(ShardReport(shard=shard.number, begin=items.begin, end=items.end))
    check_complete(plan, reports)
    expected = list(read_items(io.BytesIO(content), name="in.txt"))
    assert [text for _, text in texts_and_ids(found)] == [one if isinstance(one, str) else "" for one in expected]
    assert len({name for name, _ in texts_and_ids(found)}) == len(found)


def test_an_item_without_an_id_is_called_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text('Ana\n\n{"id": 7, "text": "Rome"}\nBob\n{"id": "x"}\n{broken\n')
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"Ana\n\nBob\n"))
    parquet.write_table(pa.table({"text": ["Ana", None, "Bob"]}), tmp_path / "c.parquet", row_group_size=2)
    plan = plan_for(source_files(str(tmp_path)), shard_bytes=6, shard_rows=2)
    assert [texts_and_ids(ShardItems(shard, columns=USUAL)) for shard in plan.shards()] == [
        [("a.txt@0", "Ana"), ("7", "Rome")],
        *[[]] * 4,
        [("a.txt@31", "Bob"), ("x", "")],
        [],
        [("a.txt@47", "")],
        *[[]] * 2,
        [("b.txt.gz:1", "Ana"), ("b.txt.gz:3", "Bob")],
        [("c.parquet:1", "Ana"), ("c.parquet:2", "")],
        [("c.parquet:3", "Bob")],
    ]


def test_what_cannot_be_read_says_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "Ana"}\n{"id": "7"}\n')
    parquet.write_table(pa.table({"text": ["Ana", None]}), tmp_path / "c.parquet")
    shards = list(plan_for(source_files(str(tmp_path)), shard_bytes=16).shards())
    causes = [item.cause for shard in shards for item in ShardItems(shard, columns=USUAL) if not isinstance(item, dict)]
    assert [str(cause).partition(" ")[0] for cause in causes] == ["a.jsonl@16:", "c.parquet:2:"]


@pytest.mark.parametrize("shard_rows", [1, 3, 4, 7, 100])
def test_rows_are_cut_across_row_groups(tmp_path: Path, shard_rows: int) -> None:
    table = pa.table({"key": list(range(23)), "body": TEXTS, "lang": ["en"] * 23})
    parquet.write_table(table, tmp_path / "in.parquet", row_group_size=5)
    columns = Columns("body", "key")
    shards = plan_for(source_files(str(tmp_path)), shard_rows=shard_rows).shards()
    with open_source(str(tmp_path / "in.parquet"), columns=columns) as whole:
        expected = list(whole.items)
    assert [item for shard in shards for item in ShardItems(shard, columns=columns)] == expected


def test_the_files_of_a_folder_and_of_a_pattern(tmp_path: Path) -> None:
    for name in ("b.txt", "a/x.jsonl", "_SUCCESS", ".hidden", "c.parquet.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("Ana\n")
    assert [file.name for file in source_files(str(tmp_path))] == ["a/x.jsonl", "b.txt", "c.parquet.txt"]
    assert [file.name for file in source_files(f"{tmp_path}/*.txt")] == ["b.txt", "c.parquet.txt"]
    with pytest.raises(SourceError, match=r"there is no file '.*missing'"):
        source_files(str(tmp_path / "missing"))


@pytest.fixture
def job(saved_model: Path, tmp_path: Path) -> Job:
    (tmp_path / "in.jsonl").write_bytes(lines_of(TEXTS) + b'{"id": "poisoned"}\n')
    return Job(str(saved_model), str(tmp_path / "in.jsonl"), str(tmp_path / "out"), device="cpu")


def begun(job: Job, **changed) -> tuple[PinnedModel, PartFiles, Plan]:
    model, parts = pin_model(job), PartFiles(job.output, file_format=job.output_format)
    plan = plan_for(source_files(job.source), model=model.digest, output_format=job.output_format, **changed)
    return model, parts, parts.begin(plan, resume=False, overwrite=False)


def as_ray_does(actor: ShardPredictor, shards: list[Shard]) -> list[ShardReport]:
    told = actor({"shard": [shard.model_dump_json() for shard in shards]})
    return [ShardReport.model_validate_json(report) for report in told["report"]]


@pytest.mark.parametrize("output", ["out", "memory://found"])
def test_a_shard_that_two_actors_predict_has_one_part(job: Job, output: str, tmp_path: Path) -> None:
    job = replace(job, output=output if "://" in output else str(tmp_path / output))
    model, parts, plan = begun(job)
    shards = list(plan.shards())
    assert len(shards) > 10
    one, other = ShardPredictor(job, model), ShardPredictor(job, model)
    assert as_ray_does(one, shards[:6]) == as_ray_does(other, shards[:6])
    as_ray_does(other, shards[6:])
    reports = [*parts.done().values()]
    summary = parts.complete(plan, reports, resumed=0)
    assert (summary.records, summary.failed) == (24, 1)
    with fsspec.open_files(f"{job.output}/part-*", "rb") as files:
        written = b"".join(file.read() for file in files).decode()
    with open_source(job.source) as opened:
        expected = one.predictor.predict(opened.items, on_error="record")[:-1]
    records = [json.loads(line) for line in written.splitlines()]
    assert [record["id"] for record in records] == [*(f"d{number}" for number in range(23)), "poisoned"]
    assert records[-1]["error"] == "InvalidDocumentError"
    spans = [record["predicted"] for record in records[:-1]]
    assert [{**one, "spans": [{**span, "score": 0} for span in one.get("spans", ())]} for one in spans] == [
        {**one, "spans": [{**span, "score": 0} for span in one.get("spans", ())]}
        for one in (json.loads(to_json_line(document))["predicted"] for document in expected)
    ]
    names = {Path(path).name for path in parts._system.ls(parts._root, detail=False)}
    assert {name for name in names if name.startswith("_")} == {"_SUCCESS"}


def test_parquet_parts_are_read_as_one(job: Job) -> None:
    job = replace(job, output_format=FileFormat.PARQUET)
    model, parts, plan = begun(job)
    as_ray_does(ShardPredictor(job, model), list(plan.shards()))
    parts.complete(plan, [*parts.done().values()], resumed=0)
    with open_source(job.output, file_format=FileFormat.PARQUET) as opened:
        ids = [item["id"] if isinstance(item, dict) else item.id for item in opened.items]
    assert ids == [*(f"d{number}" for number in range(23)), "poisoned"]


def test_a_stopped_job_goes_on_with_the_shards_that_are_left(job: Job) -> None:
    model, parts, plan = begun(job)
    shards = list(plan.shards())
    actor = ShardPredictor(job, model)
    as_ray_does(actor, shards[:4])
    with pytest.raises(JobError, match=r"4 of 13 shards are done, \[4, 5, 6, 7, 8\] are missing; use --resume"):
        parts.complete(plan, [*parts.done().values()], resumed=0)
    with pytest.raises(OutputError, match="is not empty"):
        parts.begin(plan, resume=False, overwrite=False)
    with pytest.raises(OutputError, match="was started with other dtype"):
        parts.begin(plan.model_copy(update={"dtype": "bfloat16"}), resume=True, overwrite=False)
    assert parts.begin(plan.model_copy(update={"shard_bytes": 7}), resume=True, overwrite=False) == plan
    assert sorted(parts.done()) == [0, 1, 2, 3]
    as_ray_does(actor, shards[4:])
    assert parts.complete(plan, [*parts.done().values()], resumed=4).resumed == 4
    with pytest.raises(OutputError, match="is complete"):
        parts.begin(plan, resume=True, overwrite=False)
    assert parts.begin(plan, resume=False, overwrite=True) == plan
    assert parts.done() == {}


def test_other_files_in_the_folder_are_not_lost(job: Job, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("ten years of work")
    plan = plan_for(source_files(job.source))
    with pytest.raises(OutputError, match=r"contains other files than predictions, such as 'thesis.txt'"):
        PartFiles(job.output, file_format=job.output_format).begin(plan, resume=False, overwrite=True)


def test_a_part_that_nobody_reported_is_no_success(job: Job, tmp_path: Path) -> None:
    model, parts, plan = begun(job)
    as_ray_does(ShardPredictor(job, model), list(plan.shards()))
    (tmp_path / "out" / "part-999999.jsonl").write_text("{}\n")
    with pytest.raises(JobError, match=r"\['part-999999.jsonl'\]"):
        parts.complete(plan, [*parts.done().values()], resumed=0)
    assert not (tmp_path / "out" / "_SUCCESS").exists()


def test_a_source_that_changed_while_it_was_read_is_no_success(job: Job) -> None:
    model, parts, plan = begun(job)
    shards, actor = list(plan.shards()), ShardPredictor(job, model)
    as_ray_does(actor, shards[:4])
    Path(job.source).write_bytes(
        b'{"id": "new", "text": "much longer than the line that was here before it, by far"}\n'
    )
    as_ray_does(actor, shards[4:])
    with pytest.raises(JobError, match="it changed while it was read"):
        parts.complete(plan, [*parts.done().values()], resumed=0)


def test_a_shard_that_kills_its_process_is_given_up(job: Job) -> None:
    job = replace(job, retries=2)
    model, parts, plan = begun(job)
    actor, shard = ShardPredictor(job, model), next(plan.shards())
    for _ in range(3):
        parts.try_once_more(shard)  # and the process dies
    (report,) = as_ray_does(actor, [shard])
    assert report.error is not None
    assert "killed its process 3 times" in report.error
    parts.begin(plan, resume=True, overwrite=False)
    assert as_ray_does(actor, [shard])[0].error is None


def test_a_file_that_breaks_off_leaves_the_others_be(job: Job, tmp_path: Path) -> None:
    folder = tmp_path / "torn"
    folder.mkdir()
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(lines_of(TEXTS))[:-9])
    (folder / "b.jsonl").write_bytes(lines_of(TEXTS))
    job = replace(job, source=str(folder))
    model, parts, plan = begun(job, shard_bytes=10_000)
    torn, whole = as_ray_does(ShardPredictor(job, model), list(plan.shards()))
    assert torn.error is not None
    assert torn.error.startswith("SourceError: ")
    assert whole.records == 23
    assert sorted(parts.done()) == [1]


def test_on_error_raise_reports_the_document(job: Job) -> None:
    job = replace(job, on_error="raise")
    model, _, plan = begun(job, shard_bytes=10_000)
    (report,) = as_ray_does(ShardPredictor(job, model), list(plan.shards()))
    assert report.error is not None
    assert report.error.startswith("PredictionError: document 'poisoned'")


def test_another_model_on_a_machine_is_refused(job: Job) -> None:
    with pytest.raises(ArtefactError, match="on this machine differs from the model"):
        ShardPredictor(job, replace(pin_model(job), digest="0" * 64))


CPU, GPU = ({"Alive": True, "Resources": resources} for resources in ({"CPU": 16.0}, {"CPU": 24.0, "GPU": 2.0}))
DEAD = {"Alive": False, "Resources": {"CPU": 64.0}}


@pytest.mark.parametrize(
    ("nodes", "device", "cores", "expected"),
    [
        ([CPU, CPU], None, None, Actors(count=4, cpus=8, gpus=0)),
        ([CPU, DEAD], None, 3, Actors(count=5, cpus=3, gpus=0)),
        ([GPU, CPU], None, None, Actors(count=2, cpus=8, gpus=1)),
        ([GPU, CPU], "cpu", None, Actors(count=5, cpus=8, gpus=0)),
        ([{"Alive": True, "Resources": {"CPU": 1.0}}] * 2, None, None, Actors(count=2, cpus=1, gpus=0)),
    ],
)
def test_an_actor_for_each_gpu_or_for_so_many_cores(nodes, device, cores, expected) -> None:
    assert place_actors(nodes, device=device, cores=cores) == expected


def test_no_machine_that_is_large_enough() -> None:
    with pytest.raises(JobError, match="none of the 1 machines of the cluster has 32 CPU cores"):
        place_actors([CPU], device=None, cores=32)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (
            ["in.jsonl", "-o", "out"],
            1,
            r"'ray.data' is required but not installed.* pip install \"nlp-inference\[ray\]",
        ),
        (["-", "-o", "out"], 2, "reads files and writes a folder"),
        (["in.jsonl"], 2, "reads files and writes a folder"),
        (["in.jsonl", "-o", "out", "--token-budget", "measured"], 2, "one --token-budget for all machines"),
        (["in.jsonl", "-o", "out", "--resume", "--overwrite"], 2, "--resume cannot be combined with --overwrite"),
    ],
)
def test_the_command_refuses_what_a_cluster_cannot_do(monkeypatch, arguments, status, said) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    result = CliRunner().invoke(app, ["predict", "model", *arguments, "--engine", "ray"])
    assert result.exit_code == status
    assert re.search(said, " ".join(re.sub("[│╭╮╰╯─]", " ", result.output).split()))
