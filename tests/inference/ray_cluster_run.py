"""Run by test_ray_cluster.py in a process of its own: two machines of one core each, and an actor killed in the middle.

The machines are raylets of this one, as Ray tests itself: https://docs.ray.io/en/latest/ray-core/fault-tolerance.html
"""

import json
import os
import signal
import sys

import psutil
import ray
from ray.cluster_utils import Cluster

from nlp_inference.files.formats import FileFormat
from nlp_inference.integrations.ray.job import Job
from nlp_inference.integrations.ray.ray_engine import run_on_ray


def actor_processes() -> list[int]:
    """The processes in which actors predict: Ray names them by their class."""
    names = ("ShardPredictor", "MapWorker")
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(name in " ".join(process.info["cmdline"] or ()) for name in names)
    ]


def main(model: str, source: str, output: str, output_format: str) -> None:
    """Predict, kill one actor when the third report comes, and tell what came of it."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80_000_000})
    cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    ray.init(address=cluster.address, log_to_driver=False)
    seen: list[int] = []
    killed: list[int] = []

    def kill(report, shards) -> None:
        seen.append(report.shard)
        if len(seen) == 3:
            killed.extend(actor_processes()[:1])
            os.kill(killed[0], signal.SIGKILL)

    job = Job(model, source, output, output_format=FileFormat(output_format), device="cpu", cores=1)
    summary = run_on_ray(job, on_report=kill)
    nodes = len([node for node in ray.nodes() if node["Alive"]])
    ray.shutdown()
    cluster.shutdown()
    told = {"summary": summary.model_dump(), "killed": killed, "nodes": nodes, "seen": sorted(seen)}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
