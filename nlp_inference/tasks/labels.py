"""What every list of labels must be."""


def check_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse an empty list of labels, empty labels and repeated ones.

    Raises:
        ValueError: as pydantic validators do.
    """
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if not labels or not all(labels) or repeated:
        raise ValueError(f"labels must be a list of different, non-empty names; got {labels!r}, repeated: {repeated!r}")
    return labels
