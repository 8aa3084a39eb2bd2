"""`nlp-inference predict --engine ray`: a distributed job with a progress bar."""

import logging
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from nlp_inference._utils.terminal import Console

if TYPE_CHECKING:
    from nlp_inference.integrations.ray.job import Job


def predict_on_cluster(job: "Job", *, resume: bool, overwrite: bool, messages: Console) -> None:
    """Run a job, and show the progress in documents and shards on a terminal.

    Raises:
        NlpInferenceError: see `run_on_ray`.
    """
    from nlp_inference._utils.quiet import quiet_libraries
    from nlp_inference.integrations.ray.parts import ShardReport
    from nlp_inference.integrations.ray.ray_engine import run_on_ray

    quiet_libraries()
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    columns = (SpinnerColumn(), TextColumn("{task.fields[documents]:,} documents"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages, disable=not messages.is_terminal) as progress:
        task = progress.add_task("", total=None, documents=0)
        documents = 0

        def show(report: ShardReport, shards: int) -> None:
            nonlocal documents
            documents += report.records
            progress.update(task, advance=1, total=shards, documents=documents)

        summary = run_on_ray(job, resume=resume, overwrite=overwrite, on_report=show)
    failed = f", {summary.failed:,} of them failed" if summary.failed else ""
    parts = f"{summary.parts:,} parts in {job.output}"
    messages.print(f"{summary.records:,} documents{failed}; {parts}", highlight=False, markup=False)
