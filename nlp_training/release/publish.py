"""A model on the Hugging Face Hub: everything in one commit, or nothing."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelCard, get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalTokenNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo

from nlp_inference import golden
from nlp_inference.errors import PublishError
from nlp_training.release.files import Release, find_release, is_ours
from nlp_training.reports.model_card import card_for

_MAIN = "main"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a release.

    Attributes:
        url: where to look at it.
        commit: the commit that holds it.
        private: whether only members see it.
        pull_request: whether it waits to be merged.
        removed: names of files of an earlier release that this one has not.
    """

    url: str
    commit: str
    private: bool
    pull_request: bool
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is about to be sent.

    Attributes:
        release: the files.
        sizes: of each, in bytes.
        card: the model card, with the Hub id in its snippets.
    """

    release: Release
    sizes: dict[str, int]
    card: bytes


def plan_release(run: str | Path, repo_id: str) -> Plan:
    """Find what would be published, and check it; nothing is sent.

    Args:
        run: the folder of a run, or its `model` folder.
        repo_id: such as `org/model`.

    Raises:
        PublishError: the id is none; the model is not whole or holds what must not be published; or its card is no
            model card.
        ArtefactError: the model cannot be loaded, or does not verify.
    """
    _check_id(repo_id)
    release = find_release(run)
    golden.require_verified(release.folder)
    text = card_for(release.files["README.md"].read_text(encoding="utf-8"), repo_id)
    try:
        ModelCard(text)
    except (ValueError, TypeError) as error:
        raise PublishError(f"README.md is no model card that the Hub can read: {error}") from error
    card = text.encode()
    sizes = {name: path.stat().st_size for name, path in release.files.items()}
    return Plan(release, {**sizes, "README.md": len(card)}, card)


def publish(
    run: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str = _MAIN,
    create_pr: bool = False,
    message: str = "Publish the model",
    token: str | None = None,
    tell: Callable[[Plan], None] = lambda _: None,
) -> Published:
    """Publish a model that training saved: processor, weights, golden records, scores and model card in one commit.

    Until the commit, which the Hub makes as a whole or not at all, the repository shows what it showed before. The
    commit stands on the one that was there when publishing began: if somebody else publishes meanwhile, it is refused.
    What an earlier release left and this one has not is taken away in the same commit; other files stay.

    Args:
        run: the folder of a run, or its `model` folder.
        repo_id: such as `org/model`; the repository is made if there is none.
        private: who sees a repository that is made: `None` leaves it to the organization. One that exists must fit.
        revision: the branch; it is made if there is none.
        create_pr: open a pull request in place of committing to `main`.
        message: of the commit.
        token: `None` takes the stored one.
        tell: called with what will be sent, before anything is.

    Raises:
        PublishError: it must not or cannot be published; the message says why.
        ArtefactError: the model cannot be loaded, or does not verify.

    Example:
        >>> publish("runs/pii", "org/pii", private=True)  # doctest: +SKIP
        Published(url='https://huggingface.co/org/pii', commit='8ab2...', private=True, ...)
    """
    if create_pr and revision != _MAIN:
        raise PublishError(
            f"a pull request is made against {_MAIN!r}, but the revision is {revision!r}; give one of them"
        )
    plan = plan_release(run, repo_id)
    tell(plan)
    if token is None and get_token() is None:
        raise PublishError("there is no token to publish with; log in with `hf auth login`, or set HF_TOKEN")
    api = HfApi(token=token, library_name="nlp-inference")
    with _said_clearly(repo_id, revision):
        info = _repository(api, repo_id, private=private, revision=revision)
        stale = _stale(info, plan)
        commit = api.create_commit(
            repo_id,
            [*_additions(plan), *(CommitOperationDelete(name) for name in stale)],
            commit_message=message,
            revision=revision,
            create_pr=create_pr,
            parent_commit=info.sha,
        )
    page = f"{api.endpoint}/{repo_id}"
    page = str(commit.pr_url) if create_pr else page if revision == _MAIN else f"{page}/tree/{revision}"
    return Published(page, commit.oid, bool(info.private), create_pr, removed=tuple(stale))


def _check_id(repo_id: str) -> None:
    if not _HUB_ID.fullmatch(repo_id):
        raise PublishError(f"{repo_id!r} is no Hub id; write it as org/model, with letters, digits, '-', '_' and '.'")


def _repository(api: HfApi, repo_id: str, *, private: bool | None, revision: str) -> ModelInfo:
    """Make the repository and the branch if they are not there, and say what is."""
    api.create_repo(repo_id, private=private, exist_ok=True)
    is_private = bool(api.model_info(repo_id).private)
    if private is not None and private != is_private:
        there, wanted = ("private", "public") if is_private else ("public", "private")
        raise PublishError(
            f"{repo_id!r} is {there} already, and publishing does not change that; make it {wanted} on "
            f"{api.endpoint}/{repo_id}/settings, or leave --{wanted} out"
        )
    if revision != _MAIN:
        api.create_branch(repo_id, branch=revision, exist_ok=True)
    return api.model_info(repo_id, revision=revision)


def _stale(info: ModelInfo, plan: Plan) -> list[str]:
    """Files of an earlier release that would stay beside this one, such as shards of weights, and be loaded for it."""
    there = [sibling.rfilename for sibling in info.siblings or []]
    return sorted(name for name in there if is_ours(name) and name not in plan.release.files)


def _additions(plan: Plan) -> Iterator[CommitOperationAdd]:
    for name, path in plan.release.files.items():
        yield CommitOperationAdd(name, plan.card if name == "README.md" else path)


@contextmanager
def _said_clearly(repo_id: str, revision: str) -> Iterator[None]:
    try:
        yield
    except (httpx2.HTTPError, OSError, ValueError, RuntimeError) as error:
        if isinstance(error, PublishError):
            raise
        raise PublishError(
            f"{_explain(error, repo_id, revision)}. A release is one commit: the Hub has all of it or nothing"
        ) from error


def _explain(error: Exception, repo_id: str, revision: str) -> str:
    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ is not None else error
    said = f"{type(cause).__name__}: {str(cause).strip()}".rstrip(".")
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if isinstance(error, GatedRepoError) or status == 403:
        return f"your token may not write to {repo_id!r}; take one with write access to it ({said})"
    if isinstance(error, LocalTokenNotFoundError) or status == 401:
        return f"the Hub does not know your token; log in with `hf auth login` ({said})"
    if status in {409, 412}:
        return f"{repo_id!r} (revision {revision!r}) was changed while this was being published; publish again ({said})"
    if isinstance(error, RevisionNotFoundError | RepositoryNotFoundError):
        return f"{repo_id!r} (revision {revision!r}) is not there, or your token may not see it ({said})"
    return f"{repo_id!r} could not be published: {said}"
