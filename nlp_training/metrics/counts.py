"""From counts to scores."""


def precision_recall_f1(right: int, found: int, gold: int) -> dict[str, float]:
    """Precision, recall and F1 (van Rijsbergen, 1979); a score with nothing to count is 0.

    Args:
        right: how many were found and are gold.
        found: how many were found.
        gold: how many are gold.

    Example:
        >>> precision_recall_f1(1, 2, 1)
        {'precision': 0.5, 'recall': 1.0, 'f1': 0.6666666666666666}
    """
    return {
        "precision": right / found if found else 0.0,
        "recall": right / gold if gold else 0.0,
        "f1": 2 * right / (found + gold) if found + gold else 0.0,
    }
