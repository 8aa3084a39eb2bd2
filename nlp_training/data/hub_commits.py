"""Commits of data sets on the Hub."""

import re

import httpx2
from huggingface_hub import HfApi, constants

from nlp_inference._utils.extras import require

_COMMIT = re.compile("[0-9a-f]{40}")


def is_commit(revision: str | None) -> bool:
    """Return whether a revision is a full commit hash, which always names the same files, not a branch or tag.

    Example:
        >>> is_commit("0123456789" * 4), is_commit("0123456"), is_commit("main"), is_commit(None)
        (True, False, False, False)
    """
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def find_commit(hub_id: str, revision: str | None) -> str | None:
    """Return the current commit of a branch or tag of a data set.

    Args:
        hub_id: the id of the data set.
        revision: the branch or the tag; `None` means the main branch.

    Returns:
        The commit, or `None` if the Hub is disabled (`HF_HUB_OFFLINE`, `HF_DATASETS_OFFLINE`), cannot be reached, or
        has no such data set or revision. Loading the data set raises the exact error.

    Raises:
        MissingExtraError: `datasets` is not installed.
    """
    if require("datasets", extra="train").config.HF_HUB_OFFLINE:
        return None
    try:
        return HfApi().dataset_info(hub_id, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT).sha
    except (httpx2.HTTPError, OSError, ValueError):
        return None
