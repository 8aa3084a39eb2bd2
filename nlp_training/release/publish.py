"""A model on the Hugging Face Hub: everything in one commit, or nothing."""

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
"""What huggingface_hub raises where the network, the Hub or a file fails."""


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a release.

    Attributes:
        url: where to look at it.
        commit: the commit that holds it.
        private: whether only members see it.
        pull_request: whether it waits to be merged.
        texts: how many of your own texts its golden records hold.
        removed: names of files of an earlier release that this one has not.
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

    Until the commit, which the Hub makes as a whole or not at all, the repository shows what it showed before. The
    commit stands on the one that was there when it was prepared: if somebody else publishes meanwhile, it is refused.
    What an earlier release left and this one has not is taken away in the same commit; other files stay.

    Args:
        plan: what is sent, checked; of `plan_release`. The repository is made if there is none.
        private: who sees a repository that is made: `None` leaves it to the organization. One that exists must fit.
        revision: the branch; if there is none, it is made from `main` once the weights are there.
        create_pr: open a pull request in place of committing to `main`.
        message: of the commit.
        token: `None` takes the stored one.

    Raises:
        PublishError: it cannot be published, or is not what was verified any more; the message says why.

    Example:
        >>> publish(plan_release("runs/pii", "org/pii"), private=True)  # doctest: +SKIP
        Published(url='https://huggingface.co/org/pii', commit='8ab2...', private=True, ...)
    """
    if create_pr and revision != _MAIN:
        raise PublishError(
            f"a pull request is made against {_MAIN!r}, but the revision is {revision!r}; give one of them"
        )
    if token is None and get_token() is None:
        raise PublishError("there is no token to publish with; log in with `hf auth login`, or set HF_TOKEN")
    repo_id = plan.repo_id
    api = HfApi(token=token, library_name="nlp-inference")
    with _said_clearly(repo_id, revision):
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
    """Make the repository if it is not there, and say whether it is private."""
    api.create_repo(repo_id, private=private, exist_ok=True)
    is_private = bool(api.model_info(repo_id).private)
    if private is not None and private != is_private:
        there, wanted = ("private", "public") if is_private else ("public", "private")
        raise PublishError(
            f"{repo_id!r} is {there} already, and publishing does not change that; make it {wanted} on "
            f"{api.endpoint}/{repo_id}/settings, or leave --{wanted} out"
        )
    return is_private


@contextmanager
def _head(api: HfApi, repo_id: str, *, revision: str, additions: Sequence[CommitOperationAdd]) -> Iterator[ModelInfo]:
    """What is there at a revision, to commit upon.

    A branch can only be made of what is there, another model perhaps. One that is not there yet is therefore made when
    the weights have been sent, so that next to nothing is left to fail, and taken away again if the commit fails.
    """
    try:
        there = api.model_info(repo_id, revision=revision)
    except RevisionNotFoundError:
        there = None
    if there is not None:
        yield there
        return
    api.preupload_lfs_files(repo_id, additions)
    start = api.model_info(repo_id, revision=_MAIN)
    api.create_branch(repo_id, branch=revision, revision=start.sha)
    try:
        yield api.model_info(repo_id, revision=revision)
    except BaseException:
        with suppress(*_FAILURES):
            if api.model_info(repo_id, revision=revision).sha == start.sha:  # else the commit came, but not its answer
                api.delete_branch(repo_id, branch=revision)
        raise


def _stale(api: HfApi, repo_id: str, info: ModelInfo, plan: Plan) -> list[str]:
    """Files of an earlier release that would stay beside this one, such as shards of weights, and be loaded for it."""
    there = {sibling.rfilename for sibling in info.siblings or []}
    sources: frozenset[str] = frozenset()
    if _SETTINGS in there:
        path = api.hf_hub_download(repo_id, _SETTINGS, revision=info.sha)
        sources = sources_of_release(Path(path).read_bytes())
    return sorted(name for name in there if (is_ours(name) or name in sources) and name not in plan.release.files)


def _additions(plan: Plan) -> Iterator[CommitOperationAdd]:
    for name, path in plan.release.files.items():
        addition = CommitOperationAdd(name, plan.contents.get(name, path))
        if name in plan.weights:
            plan.check_digest(name, addition.upload_info.sha256.hex())
        yield addition


@contextmanager
def _said_clearly(repo_id: str, revision: str) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
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
