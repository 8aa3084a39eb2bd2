"""Post-transforms, which change predictions in raw coordinates. Importing this package registers every one."""

from nlp_inference.transforms.post.drop_labels import DropLabels
from nlp_inference.transforms.post.map_labels import MapLabels
from nlp_inference.transforms.post.merge_adjacent import MergeAdjacent
from nlp_inference.transforms.post.min_score import MinScore
from nlp_inference.transforms.post.require_pattern import RequirePattern
from nlp_inference.transforms.post.resolve_overlaps import ResolveOverlaps
from nlp_inference.transforms.post.trim_spans import TrimSpans

__all__ = [
    "DropLabels",
    "MapLabels",
    "MergeAdjacent",
    "MinScore",
    "RequirePattern",
    "ResolveOverlaps",
    "TrimSpans",
]
