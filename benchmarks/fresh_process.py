"""Records of benchmarks, and trainings, each in a fresh process that prints its result as its last line."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
Result = dict[str, Any]


def read_records(path: Path) -> list[Result]:
    """Read a file of JSON lines, which end with a line feed: texts may contain other line separators."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def last_line(*command: Any, quiet: bool = False) -> Result:
    """Run a Python script with its arguments, and return the JSON object in the last line that it prints.

    Args:
        command: the script and its arguments.
        quiet: whether to hide what it writes to standard error.
    """
    result = subprocess.run(
        [sys.executable, *map(str, command)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if quiet else None,
        text=True,
    )
    printed: Result = json.loads(result.stdout.splitlines()[-1])
    return printed


def train_library(config: str, settings: Mapping[str, Any]) -> Result:
    """Train a configuration of `configs/`, and return the scores of the test set and `training_seconds`."""
    with tempfile.TemporaryDirectory() as folder:
        overrides = [f"{key}={value}" for key, value in {"output_dir": folder, **settings}.items()]
        measured = last_line(ROOT / "benchmarks/timed_training.py", ROOT / "configs" / config, *overrides)
    return {**measured["metrics"]["test"], "training_seconds": measured["training_seconds"]}
