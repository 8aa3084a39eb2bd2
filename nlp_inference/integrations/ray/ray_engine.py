"""A job on a Ray cluster: Ray Data (https://docs.ray.io/en/latest/data/data.html) hands shards to actors.

There is an actor for each GPU, or for each so many CPU cores. If one dies, Ray starts another and gives it the shard,
as often as need be (Ray Data sets `max_restarts` and `max_task_retries` so); a shard itself says when it was enough.
The data set is the list of shards and what comes back are reports: texts and predictions never pass through Ray.
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
from nlp_inference.predict.workers import MOST_WORKERS


@dataclass(frozen=True)
class Actors:
    """How many actors there are, and what each takes of its machine."""

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
    """Predict a source on the Ray cluster that `RAY_ADDRESS` names, or that was connected to; else on this machine.

    Every document of the source has exactly one record in the output when this returns, whatever died meanwhile.

    Args:
        job: what to predict.
        resume: go on with an output that is not complete.
        overwrite: replace what is there.
        on_report: called with the report of each shard, in the order in which they end, and how many there are.

    Raises:
        MissingExtraError: `ray` is not installed.
        SourceError: there is no such source.
        OutputError: the output is there already, or was begun with something else.
        JobError: a source breaks off, or actors died again and again; what was written stays.

    Example:
        >>> run_on_ray(Job("org/model", "s3://mails/", "s3://found/"))  # doctest: +SKIP
        Summary(format_version=1, records=1000000, failed=1, parts=120, shards=120, resumed=0)
    """
    ray = require("ray", extra="ray")
    require("ray.data", extra="ray")
    model, files = pin_model(job), source_files(job.source, file_format=job.input_format)
    parts = PartFiles(job.output, file_format=job.output_format)
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
    """How many actors fit on the machines: one for each GPU, or where there is none for each so many cores.

    Args:
        nodes: as `ray.nodes()` tells them.
        device: of the job; `"cpu"` leaves GPUs alone.
        cores: of an actor; `None` takes what there is on the smallest machine, for each GPU of it, up to eight.

    Raises:
        JobError: no machine has so many cores.

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
    cpus = cores or max(1, min([MOST_WORKERS, *shares]))
    count = sum(int(min(node["CPU"] // cpus, node["GPU"] if gpus else node["CPU"])) for node in used)
    if not count:
        raise JobError(
            f"no machine of the cluster has {cpus} CPU cores, among {len(alive)}; give fewer, or add machines"
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
        raise JobError(f"{_innermost(error)}; what was predicted is written, go on with it with --resume") from error


def _innermost(error: BaseException) -> str:
    """What an actor raised, which Ray wraps several times."""
    while inner := (getattr(error, "cause", None) or error.__cause__):
        error = inner
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


@contextmanager
def _connected(ray: Any) -> Iterator[None]:
    """A connection that was there stays."""
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
        raise JobError(f"{errors[0]}{more}; all else is predicted: mend it and go on with --resume")
