"""Comparison of two profiles by the population stability index (PSI) of each feature.

PSI: N. Siddiqi, Credit Risk Scorecards (Wiley, 2006), with the thresholds 0.1 and 0.25; it is the symmetric divergence
of S. Kullback and R. Leibler (Annals of Mathematical Statistics 22, 1951).

Noise: without drift, the PSI of B bins times n·m/(n+m), for samples of n and m, is close to chi-square with B-1 degrees
of freedom, so its mean is about (B-1)(1/n+1/m): B. Yurdakul, Statistical Properties of Population Stability
Index (dissertation 3208, Western Michigan University, 2018). A threshold below the noise is increased to the noise.
"""

from collections.abc import Mapping
from math import log, sqrt
from statistics import NormalDist
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from nlp_inference.drift.profile import Counts, Profile
from nlp_inference.errors import InvalidDocumentError

WATCH, MOVED = 0.1, 0.25
"""Siddiqi's thresholds: below the first a feature is stable, from the second on it has moved."""

FALSE_ALARMS = 0.01
"""Probability that a report of documents without drift contains a feature that has moved by chance."""

_SMOOTHING = 0.5

Verdict = Literal["moved", "watch", "stable"]
_SEVERITY: tuple[Verdict, ...] = ("moved", "watch", "stable")


class BinChange(NamedTuple):
    """A bin, its share of the documents in both profiles, and its contribution to the index."""

    name: str
    was: float
    now: float
    contribution: float


class FeatureDrift(BaseModel):
    """The drift of one feature.

    Args:
        feature: its name.
        index: its population stability index.
        noise: the index that chance does not reach without drift, for these numbers of documents and bins.
        verdict: `moved` from 0.25 or the noise, whichever is greater, and `watch` from 0.1 or the noise.
        bins: the non-empty bins, the one with the greatest contribution first.
    """

    model_config = ConfigDict(frozen=True)

    feature: str
    index: float
    noise: float
    verdict: Verdict
    bins: tuple[BinChange, ...]


class DriftReport(BaseModel):
    """The drift between two profiles, the feature with the greatest drift first."""

    model_config = ConfigDict(frozen=True)

    documents_before: int
    documents_now: int
    features: tuple[FeatureDrift, ...]

    @property
    def moved(self) -> list[str]:
        """The names of the features that moved."""
        return [one.feature for one in self.features if one.verdict == "moved"]


def compare_profiles(before: Profile, now: Profile) -> DriftReport:
    """Compare the features of two profiles. A feature whose documents are all in the same bin of both is skipped.

    Raises:
        InvalidDocumentError: a profile has no documents.

    Example:
        >>> before = Profile(documents=1000, changed={"strip_html": 100})
        >>> [moved] = compare_profiles(before, Profile(documents=200, changed={"strip_html": 180})).features
        >>> moved.feature, round(moved.index, 2), moved.verdict, moved.bins[0].name
        ('changed by strip_html', 3.48, 'moved', 'yes')
    """
    for profile, which in ((before, "before"), (now, "now")):
        if not profile.documents:
            raise InvalidDocumentError(f"the profile {which} has 0 documents; pass a profile of at least 1 document")
    old, new = _with_names_of(now, before).distributions(), _with_names_of(before, now).distributions()
    pairs = {name: (counts, new[name]) for name, counts in old.items() if any(counts.values()) and name in new}
    varied = {name: pair for name, pair in pairs.items() if any(pair[1].values()) and len(_occupied(*pair)) > 1}
    features = [_feature_drift(name, *pair, tests=len(varied)) for name, pair in varied.items()]
    features.sort(key=lambda one: (_SEVERITY.index(one.verdict), -one.index))
    return DriftReport(documents_before=before.documents, documents_now=now.documents, features=tuple(features))


def stability_index(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """Return the population stability index of two samples in the same bins, with at least one document each.

    Half a document is added to each bin that is non-empty in one of the samples, so that the logarithm is defined.

    Example:
        >>> round(stability_index({"a": 50, "b": 50}, {"a": 90, "b": 10}), 3)
        0.853
        >>> stability_index({"a": 5, "b": 5}, {"a": 50, "b": 50})
        0.0
    """
    return sum(change.contribution for change in _changes(before, now))


def chance_limit(*, before: int, now: int, bins: int, probability: float) -> float:
    """Return the index that samples of one population exceed only with `probability`, by chance.

    The chi-square quantile is exact for two bins. Otherwise it is that of E. B. Wilson and M. M. Hilferty (PNAS 17,
    1931), which is accurate to 8 % for probabilities from 0.00001 on, and conservative for small probabilities.

    Example:
        >>> round(chance_limit(before=1000, now=50, bins=8, probability=0.001), 2)
        0.52
    """
    normal, freedom = NormalDist(), bins - 1
    if freedom == 1:
        quantile = normal.inv_cdf(1 - probability / 2) ** 2
    else:
        variance = 2 / (9 * freedom)
        quantile = freedom * (1 - variance + normal.inv_cdf(1 - probability) * sqrt(variance)) ** 3
    return quantile * (1 / before + 1 / now)


def _feature_drift(name: str, before: Counts, now: Counts, *, tests: int) -> FeatureDrift:
    changes = _changes(before, now)
    index = sum(change.contribution for change in changes)
    noise = chance_limit(
        before=sum(before.values()), now=sum(now.values()), bins=len(changes), probability=FALSE_ALARMS / tests
    )
    verdict: Verdict = "moved" if index >= max(MOVED, noise) else "watch" if index >= max(WATCH, noise) else "stable"
    bins = tuple(sorted(changes, key=lambda change: -change.contribution))
    return FeatureDrift(feature=name, index=index, noise=noise, verdict=verdict, bins=bins)


def _changes(before: Mapping[str, int], now: Mapping[str, int]) -> list[BinChange]:
    names = _occupied(before, now)
    totals = [sum(counts.values()) + _SMOOTHING * len(names) for counts in (before, now)]
    changes = []
    for name in names:
        old, new = before.get(name, 0), now.get(name, 0)
        share_before, share_now = (old + _SMOOTHING) / totals[0], (new + _SMOOTHING) / totals[1]
        contribution = (share_now - share_before) * log(share_now / share_before)
        changes.append(BinChange(name, old / sum(before.values()), new / sum(now.values()), contribution))
    return changes


def _occupied(*samples: Mapping[str, int]) -> list[str]:
    return list(dict.fromkeys(name for counts in samples for name, count in counts.items() if count))


def _with_names_of(other: Profile, profile: Profile) -> Profile:
    """Return `profile` with a count of 0 for the names that only `other` has."""
    return profile.model_copy(
        update={
            name: {**dict.fromkeys(getattr(other, name), 0), **getattr(profile, name)}
            for name in ("changed", "labels", "relations")
        }
    )
