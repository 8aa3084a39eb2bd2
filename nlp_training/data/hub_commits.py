"""Data sets of the Hub, by the commit that a name stands for."""

import re

import httpx2
from huggingface_hub import HfApi, constants

from nlp_inference._utils.extras import require

_COMMIT = re.compile("[0-9a-f]{40}")


def is_commit(revision: str | None) -> bool:
    """Whether a revision is a whole commit, which always names the same files, and no branch or tag.

    Example:
        >>> is_commit("0123456789" * 4), is_commit("0123456"), is_commit("main"), is_commit(None)
        (True, False, False, False)
    """
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def find_commit(hub_id: str, revision: str | None) -> str | None:
    """The commit of a data set that a branch or a tag names now.

    Args:
        hub_id: of the data set.
        revision: the branch or the tag; the main branch where it is `None`.

    Returns:
        The commit; `None` where the Hub names none: it may not be asked (`HF_HUB_OFFLINE`, `HF_DATASETS_OFFLINE`), it
        cannot be reached, or it knows no such data set or revision. Loading the data set tells which.

    Raises:
        MissingExtraError: `datasets` is not installed.
    """
    if require("datasets", extra="train").config.HF_HUB_OFFLINE:
        return None
    try:
        return HfApi().dataset_info(hub_id, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT).sha
    except (httpx2.HTTPError, OSError, ValueError):
        return None
