"""The confidence interval of the mean score of a cross-validation."""

from collections.abc import Sequence
from math import sqrt
from statistics import mean, stdev

from scipy.stats import t as student

from nlp_training.metrics.bootstrap import CONFIDENCE


def fold_interval(scores: Sequence[float], *, confidence: float = CONFIDENCE) -> list[float]:
    """Return the corrected t interval of the mean (Nadeau and Bengio, 2003, https://doi.org/10.1023/A:1024068626366).

    Student's interval, `mean ± t · s · sqrt(1/k)` with `k - 1` degrees of freedom, assumes independent scores. It is
    too narrow because the models of any two folds share most of their training documents. The correction adds the ratio
    of tested to trained documents: `mean ± t · s · sqrt(1/k + 1/(k - 1))`. No exact interval is known (Bengio and
    Grandvalet, 2004, https://jmlr.org/papers/v5/grandvalet04a.html).

    Args:
        scores: the scores of at least two folds.
        confidence: the confidence level of the interval.

    Example:
        >>> [round(end, 4) for end in fold_interval([0.80, 0.82, 0.84, 0.86, 0.88])]
        [0.7811, 0.8989]
    """
    count = len(scores)
    half = student.ppf((1 + confidence) / 2, count - 1) * stdev(scores) * sqrt(1 / count + 1 / (count - 1))
    return [float(mean(scores) - half), float(mean(scores) + half)]
