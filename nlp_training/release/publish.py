"""Publishing a model on the Hugging Face Hub in one atomic commit."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalTokenNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo

from nlp_inference.errors import PublishError
from nlp_training.release.files import is_ours, sources_of_release
from nlp_training.release.plan import Plan

_MAIN = "main"
_SETTINGS = "processor_config.json"
_FAILURES = (httpx2.HTTPError, OSError, ValueError, RuntimeError)
"""The errors of huggingface_hub for problems of the network, the Hub or a file."""


@dataclass(frozen=True, slots=True)
class Published:
    """A published release.

    Attributes:
        url: the URL of the release.
        commit: the commit of the release.
        private: whether only members can see it.
        pull_request: whether it is an open pull request.
        texts: the number of user texts in its golden records.
        removed: the names of files of an earlier release that this one does not contain.
    """

    url: str
    commit: str
    private: bool
    pull_request: bool
    texts: int
    removed: tuple[str, ...]


def publish(
    plan: Plan,
    *,
    private: bool | None = None,
    revision: str = _MAIN,
    create_pr: bool = False,
    message: str = "Publish the model",
    token: str | None = None,
) -> Published:
    """Publish a model that training saved: processor, weights, golden records, scores and model card in one commit.

    The commit is atomic, and the repository does not change before it. The parent of the commit is the head at the time
    of preparation: if somebody else publishes in between, the Hub refuses the commit. Files of an earlier release that
    this one does not contain are deleted in the same commit; other files are kept.

    Args:
        plan: the checked files, from `plan_release`. The repository is created if it does not exist.
        private: the visibility of a new repository; `None` means the default of the organization. The visibility of an
            existing repository must match.
        revision: the branch; a missing branch is created from `main` after the weights are uploaded.
        create_pr: whether to open a pull request instead of committing to `main`.
        message: the commit message.
        token: the token; `None` means the stored one.

    Raises:
        PublishError: the model cannot be published, or a file changed after its verification; the message says why.

    Example:
        >>> publish(plan_release("runs/pii", "org/pii"), private=True)  # doctest: +SKIP
        Published(url='https://huggingface.co/org/pii', commit='8ab2...', private=True, ...)
    """
    if create_pr and revision != _MAIN:
        raise PublishError(
            f"a pull request is made against {_MAIN!r}, but the revision is {revision!r}; use only one of them"
        )
    if token is None and get_token() is None:
        raise PublishError("there is no token to publish with; log in with `hf auth login`, or set HF_TOKEN")
    repo_id = plan.repo_id
    api = HfApi(token=token, library_name="nlp-inference")
    with _explained_errors(repo_id, revision):
        additions = list(_additions(plan))
        is_private = _repository(api, repo_id, private=private)
        with _head(api, repo_id, revision=revision, additions=additions) as info:
            stale = _stale(api, repo_id, info, plan)
            commit = api.create_commit(
                repo_id,
                [*additions, *(CommitOperationDelete(name) for name in stale)],
                commit_message=message,
                revision=revision,
                create_pr=create_pr,
                parent_commit=info.sha,
            )
    page = f"{api.endpoint}/{repo_id}"
    page = str(commit.pr_url) if create_pr else page if revision == _MAIN else f"{page}/tree/{revision}"
    return Published(page, commit.oid, is_private, create_pr, texts=plan.texts, removed=tuple(stale))


def _repository(api: HfApi, repo_id: str, *, private: bool | None) -> bool:
    """Create the repository if it does not exist, and return whether it is private."""
    api.create_repo(repo_id, private=private, exist_ok=True)
    is_private = bool(api.model_info(repo_id).private)
    if private is not None and private != is_private:
        current, wanted = ("private", "public") if is_private else ("public", "private")
        raise PublishError(
            f"{repo_id!r} is already {current}, and publishing does not change that; make it {wanted} on "
            f"{api.endpoint}/{repo_id}/settings, or remove --{wanted}"
        )
    return is_private


@contextmanager
def _head(api: HfApi, repo_id: str, *, revision: str, additions: Sequence[CommitOperationAdd]) -> Iterator[ModelInfo]:
    """Yield the head of a revision as the parent of the commit.

    A new branch has the contents of `main`, perhaps another model. So a missing branch is created only after the
    weights are uploaded, when little can still fail, and deleted if the commit fails.
    """
    try:
        head = api.model_info(repo_id, revision=revision)
    except RevisionNotFoundError:
        head = None
    if head is not None:
        yield head
        return
    api.preupload_lfs_files(repo_id, additions)
    start = api.model_info(repo_id, revision=_MAIN)
    api.create_branch(repo_id, branch=revision, revision=start.sha)
    try:
        yield api.model_info(repo_id, revision=revision)
    except BaseException:
        with suppress(*_FAILURES):
            if (
                api.model_info(repo_id, revision=revision).sha == start.sha
            ):  # otherwise the commit succeeded and only its response was lost
                api.delete_branch(repo_id, branch=revision)
        raise


def _stale(api: HfApi, repo_id: str, info: ModelInfo, plan: Plan) -> list[str]:
    """Return files of an earlier release that could be loaded with this one, such as shards of weights."""
    existing = {sibling.rfilename for sibling in info.siblings or []}
    sources: frozenset[str] = frozenset()
    if _SETTINGS in existing:
        path = api.hf_hub_download(repo_id, _SETTINGS, revision=info.sha)
        sources = sources_of_release(Path(path).read_bytes())
    return sorted(name for name in existing if (is_ours(name) or name in sources) and name not in plan.release.files)


def _additions(plan: Plan) -> Iterator[CommitOperationAdd]:
    for name, path in plan.release.files.items():
        addition = CommitOperationAdd(name, plan.contents.get(name, path))
        if name in plan.weights:
            plan.check_digest(name, addition.upload_info.sha256.hex())
        yield addition


@contextmanager
def _explained_errors(repo_id: str, revision: str) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        if isinstance(error, PublishError):
            raise
        raise PublishError(
            f"{_explain(error, repo_id, revision)}. A release is one atomic commit: the Hub has all of it or nothing"
        ) from error


def _explain(error: Exception, repo_id: str, revision: str) -> str:
    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ is not None else error
    detail = f"{type(cause).__name__}: {str(cause).strip()}".rstrip(".")
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if isinstance(error, GatedRepoError) or status == 403:
        return f"your token may not write to {repo_id!r}; use one with write access to it ({detail})"
    if isinstance(error, LocalTokenNotFoundError) or status == 401:
        return f"the Hub does not accept your token; log in with `hf auth login` ({detail})"
    if status in {409, 412}:
        return (
            f"{repo_id!r} (revision {revision!r}) was changed while this was being published; publish again ({detail})"
        )
    if isinstance(error, RevisionNotFoundError | RepositoryNotFoundError):
        return f"{repo_id!r} (revision {revision!r}) does not exist, or your token has no access to it ({detail})"
    return f"{repo_id!r} could not be published: {detail}"
