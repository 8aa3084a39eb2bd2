"""Prediction on a Ray cluster: Ray Data (https://docs.ray.io/en/latest/data/data.html) distributes shards to actors.

There is one actor per GPU, or per group of CPU cores. If an actor dies, Ray starts another one with the same shard,
without a limit (Ray Data sets `max_restarts` and `max_task_retries` so); the shard itself counts its retries. The data
set contains shards and the results are reports: texts and predictions never pass through Ray.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nlp_inference._utils.extras import require
from nlp_inference.errors import JobError
from nlp_inference.integrations.ray.job import Job, PinnedModel, ShardPredictor, pin_model
from nlp_inference.integrations.ray.parts import PartFiles, ShardReport, Summary
from nlp_inference.integrations.ray.plan import Plan, Shard, SourceFile, bytes_of_a_shard, rows_of_a_shard, source_files
from nlp_inference.predict.workers import MAX_WORKERS


@dataclass(frozen=True)
class Actors:
    """The number of actors, and the CPU cores and GPUs of each."""

    count: int
    cpus: int
    gpus: int


def run_on_ray(
    job: Job,
    *,
    resume: bool = False,
    overwrite: bool = False,
    on_report: Callable[[ShardReport, int], None] = lambda _report, _shards: None,
) -> Summary:
    """Predict a source on the Ray cluster of `RAY_ADDRESS` or of the existing connection, or else on this machine.

    When this returns, every document of the source has exactly one record in the output, even if actors died.

    Args:
        job: the job.
        resume: whether to resume an incomplete output.
        overwrite: whether to replace an existing output.
        on_report: called with the report of each shard, in the order of completion, and the number of shards.

    Raises:
        MissingExtraError: `ray` is not installed.
        SourceError: the source does not exist.
        OutputError: the output already exists, or was started with other settings.
        JobError: a source is truncated, or actors died repeatedly; the written parts are kept.

    Example:
        >>> run_on_ray(Job("org/model", "s3://mails/", "s3://found/"))  # doctest: +SKIP
        Summary(format_version=1, records=1000000, failed=1, parts=120, shards=120, resumed=0)
    """
    ray = require("ray", extra="ray")
    require("ray.data", extra="ray")
    model, files = pin_model(job), source_files(job.source, file_format=job.input_format)
    parts = PartFiles(job.output, file_format=job.output_format, offsets=job.offsets)
    with _connected(ray):
        actors = place_actors(ray.nodes(), device=job.device, cores=job.cores)
        plan = parts.begin(_plan(job, model, files, actors), resume=resume, overwrite=overwrite)
        done = parts.done()
        shards = list(plan.shards())
        left = [shard for shard in shards if shard.number not in done]
        reports = [*done.values()]
        for report in _run(ray, job, model, left, actors):
            reports.append(report)
            on_report(report, len(shards))
            if report.error is not None and job.on_error == "raise":
                break
    _require_no_errors(reports)
    return parts.complete(plan, reports, resumed=len(done))


def place_actors(nodes: Sequence[Mapping[str, Any]], *, device: str | None, cores: int | None) -> Actors:
    """Return how many actors fit on the machines: one per GPU, or without GPUs one per group of cores.

    Args:
        nodes: the result of `ray.nodes()`.
        device: the device of the job; `"cpu"` uses no GPUs.
        cores: the cores of an actor; `None` uses the cores of the smallest machine, divided by its GPUs, up to eight.

    Raises:
        JobError: no machine has enough cores.

    Example:
        >>> node = {"Alive": True, "Resources": {"CPU": 32.0, "GPU": 4.0}}
        >>> place_actors([node, node], device=None, cores=None)
        Actors(count=8, cpus=8, gpus=1)
        >>> place_actors([node, node], device="cpu", cores=4)
        Actors(count=16, cpus=4, gpus=0)
    """
    alive = [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    with_gpu = [] if device == "cpu" else [node for node in alive if node.get("GPU", 0) >= 1]
    used, gpus = (with_gpu, 1) if with_gpu else (alive, 0)
    shares = [int(node["CPU"] // (node["GPU"] if gpus else 1)) for node in used]
    cpus = cores or max(1, min([MAX_WORKERS, *shares]))
    count = sum(int(min(node["CPU"] // cpus, node["GPU"] if gpus else node["CPU"])) for node in used)
    if not count:
        raise JobError(
            f"none of the {len(alive)} machines of the cluster has {cpus} CPU cores; use fewer cores, or add machines"
        )
    return Actors(count, cpus, gpus)


def _plan(job: Job, model: PinnedModel, files: tuple[SourceFile, ...], actors: Actors) -> Plan:
    return Plan(
        model=model.digest,
        backend=model.backend,
        dtype=job.dtype,
        token_budget=job.token_budget,
        output_format=job.output_format,
        text_column=job.columns.text,
        id_column=job.columns.id,
        offsets=job.offsets,
        files=files,
        shard_bytes=bytes_of_a_shard(files, actors=actors.count),
        shard_rows=rows_of_a_shard(files, actors=actors.count),
    )


def _run(ray: Any, job: Job, model: PinnedModel, shards: Sequence[Shard], actors: Actors) -> Iterator[ShardReport]:
    if not shards:
        return
    rows = [{"shard": shard.model_dump_json()} for shard in shards]
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    predicted = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        ShardPredictor,
        fn_constructor_args=(job, model),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(actors.count, len(shards)), max_tasks_in_flight_per_actor=2),
        num_cpus=actors.cpus,
        num_gpus=actors.gpus,
    )
    try:
        for row in predicted.iter_rows():
            yield ShardReport.model_validate_json(row["report"])
    except ray.exceptions.RayError as error:
        raise JobError(f"{_innermost(error)}; all complete parts are written, resume with --resume") from error


def _innermost(error: BaseException) -> str:
    """Return the error of an actor, which Ray wraps several times."""
    while inner := (getattr(error, "cause", None) or error.__cause__):
        error = inner
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


@contextmanager
def _connected(ray: Any) -> Iterator[None]:
    """Connect to Ray while the block runs; an existing connection is kept."""
    if ray.is_initialized():
        yield
        return
    ray.init(log_to_driver=False, logging_level="error")
    try:
        yield
    finally:
        ray.shutdown()


def _require_no_errors(reports: Sequence[ShardReport]) -> None:
    errors = sorted({report.error for report in reports if report.error is not None})
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise JobError(f"{errors[0]}{more}; all other shards are predicted: fix the error and resume with --resume")
