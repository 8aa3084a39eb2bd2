"""Trackers of runs: TensorBoard, or any `report_to` of transformers. See docs/tracking.md."""

from nlp_training.config.tracking import choose_trackers
from nlp_training.tracking.trackers import LOGS, place_logs, tracked

__all__ = ["LOGS", "choose_trackers", "place_logs", "tracked"]
