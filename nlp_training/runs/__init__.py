"""Runs: reading and comparing their folders. See docs/tracking.md."""

from nlp_training.runs.compare import RunComparison, compare_runs
from nlp_training.runs.folder import Run, Score, find_runs, read_run

__all__ = ["Run", "RunComparison", "Score", "compare_runs", "find_runs", "read_run"]
