"""Drift detection: profiles of predicted documents, and their comparison."""

from nlp_inference.drift.profile import Profile, load_profile
from nlp_inference.drift.recorder import ProfileRecorder
from nlp_inference.drift.stability import DriftReport, compare_profiles, stability_index

__all__ = [
    "DriftReport",
    "Profile",
    "ProfileRecorder",
    "compare_profiles",
    "load_profile",
    "stability_index",
]
