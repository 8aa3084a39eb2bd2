"""A small Hugging Face Hub on this machine, for clients that are told of it by `HF_ENDPOINT`.

It speaks what huggingface_hub 2 calls to publish and to load a model over plain HTTP: create a repository or a branch,
validate a card, preupload, the batch API of Git LFS with uploads in one part or in several, commits as ndjson, model
info, tree, and files by `resolve`, those of LFS by a redirect to another host, the "CDN". Data sets, the repositories
`datasets/ORG/NAME`, can be read, as datasets 5 reads them. Its answers name no Xet hash, so downloads are plain HTTP;
for uploads the client must be told `HF_HUB_DISABLE_XET=1`.

Sources: https://huggingface.co/docs/hub/api, https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md, and the
calls in huggingface_hub's `hf_api.py`, `_commit_api.py`, `lfs.py` and `file_download.py`.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import yaml
from hub_http import Answer, FaultyHandler, FaultyServer, refusal

PART = 1_000_000
"""Bytes of a part, where uploads go in several."""


@dataclass
class Repo:
    """Commits of files by path, and what branches and pull requests point to; files of a gated one are refused."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    gated: bool = False

    def add(self, ref: str, files: dict[str, bytes], message: str) -> str:
        """Make a commit the head of a ref."""
        content = f"{len(self.commits)} {message} {sorted(files)}"
        sha = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
        self.commits[sha], self.messages[sha], self.refs[ref] = files, message, sha
        return sha

    def sha(self, revision: str) -> str | None:
        """The commit of a branch, a pull request or a commit."""
        return self.refs.get(revision, revision if revision in self.commits else None)


class Hub(FaultyServer):
    """The server and what it holds.

    Attributes:
        repos: by id.
        blobs: what was uploaded as LFS, by SHA-256.
        tokens: the namespaces that each token may write to.
        in_parts: whether uploads go in several parts.
        ranges: the `Range` of every download that goes on where an earlier one was cut.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.tokens: dict[str, set[str]] = {}
        self.in_parts = False
        self.ranges: list[str] = []

    @property
    def url(self) -> str:
        """What `HF_ENDPOINT` is to be."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def cdn(self) -> str:
        """Another host than the Hub's, so that a client must not send its token there."""
        return f"http://localhost:{self.server_port}/cdn"

    def add_blobs(self, files: dict[str, bytes]) -> None:
        """Have the contents of those files that LFS keeps."""
        self.blobs |= {_oid(name, content): content for name, content in files.items() if _is_lfs(name)}

    def forget(self, path: Path) -> None:
        """Have a content no more, so that it must be uploaded."""
        self.blobs.pop(_oid(path.name, path.read_bytes()), None)


_REPO = "([^/]+/[^/]+)"
_DATA = "(datasets/[^/]+/[^/]+)"
_ROUTES = (
    ("POST /api/repos/create", "_create"),
    ("POST /api/validate-yaml", "_validate"),
    (f"GET /api/models/{_REPO}", "_info"),
    (f"GET /api/models/{_REPO}/revision/([^/]+)", "_info"),
    (f"GET /api/models/{_REPO}/tree/([^/]+)", "_tree"),
    (f"POST /api/models/{_REPO}/branch/([^/]+)", "_branch"),
    (f"DELETE /api/models/{_REPO}/branch/([^/]+)", "_delete_branch"),
    (f"POST /api/models/{_REPO}/preupload/([^/]+)", "_preupload"),
    (f"POST /api/models/{_REPO}/commit/([^/]+)", "_make_commit"),
    (f"POST /{_REPO}[.]git/info/lfs/objects/batch", "_batch"),
    ("PUT /lfs/([^/]+)", "_take"),
    ("PUT /lfs/([^/]+)/([0-9]+)", "_take_part"),
    ("POST /lfs/([^/]+)/complete", "_complete"),
    ("POST /lfs/([^/]+)/verify", "_verify"),
    (f"(?:GET|HEAD) /{_REPO}/resolve/([^/]+)/(.+)", "_resolve"),
    (f"GET /api/{_DATA}", "_info"),
    (f"GET /api/{_DATA}/revision/([^/]+)", "_info"),
    (f"GET /api/{_DATA}/tree/([^/]+)", "_tree"),
    (f"GET /api/{_DATA}/tree/([^/]+)/.+", "_no_folder"),
    (f"POST /api/{_DATA}/paths-info/([^/]+)", "_paths"),
    (f"(?:GET|HEAD) /{_DATA}/resolve/([^/]+)/(.+)", "_resolve"),
    ("(?:GET|HEAD) /cdn/([^/]+)", "_cdn"),
)
"""What is asked, and who answers: with what stands in brackets, and with the body if there is one."""


class _Handler(FaultyHandler):
    server: Hub

    @property
    def _namespaces(self) -> set[str] | None:
        """What the token of this request may write to; `None` without a token that the Hub knows."""
        return self.server.tokens.get((self.headers.get("Authorization") or "").removeprefix("Bearer "))

    def _repo(self, repo_id: str, *, write: bool = False) -> Repo:
        repo = self.server.repos.get(repo_id)
        if repo is None or (repo.private and self._namespaces is None):
            raise refusal(404 if self._namespaces is not None else 401, "RepoNotFound", "Repository not found")
        if write and repo_id.partition("/")[0] not in (self._namespaces or ()):
            raise refusal(403, "Forbidden", "you have no write access to this repository")
        return repo

    @staticmethod
    def _commit(repo: Repo, revision: str) -> str:
        sha = repo.sha(revision)
        if sha is None:
            raise refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha

    def answer(self, path: str, body: bytes) -> None:
        """Find who answers a request."""
        if self.headers.get("Authorization") and self._namespaces is None:
            raise refusal(401, "Unauthorized", "Invalid credentials in Authorization header")
        for pattern, handler in _ROUTES:
            if found := re.fullmatch(pattern, f"{self.command} {path}"):
                getattr(self, handler)(*map(unquote, found.groups()), *([body] if body else []))
        super().answer(path, body)

    def _create(self, body: bytes) -> None:
        wanted = json.loads(body)
        if self._namespaces is None:
            raise refusal(401, "Unauthorized", "Invalid credentials in Authorization header")
        if wanted["organization"] not in self._namespaces:
            raise refusal(403, "Forbidden", f"you have no rights in {wanted['organization']}")
        repo_id = f"{wanted['organization']}/{wanted['name']}"
        answer = {"url": f"{self.server.url}/{repo_id}"}
        with self.server.lock:
            if repo_id in self.server.repos:
                raise Answer(409, {**answer, "error": "You already created this model repo"})
            repo = self.server.repos[repo_id] = Repo(private=wanted.get("visibility") == "private")
            repo.add("main", {".gitattributes": b"*.safetensors filter=lfs\n"}, "initial commit")
        raise Answer(200, answer)

    @staticmethod
    def _validate(body: bytes) -> None:
        found = re.match(r"---\n(.*?)\n---\n", json.loads(body)["content"], re.DOTALL)
        try:
            metadata = yaml.safe_load(found[1]) if found else None
        except yaml.YAMLError as error:
            raise Answer(400, {"errors": [{"message": str(error)}], "warnings": []}) from error
        empty = [] if metadata else [{"message": "empty or missing yaml metadata in repo card"}]
        raise Answer(200, {"errors": [], "warnings": empty})

    def _info(self, repo_id: str, revision: str = "main") -> None:
        repo = self._repo(repo_id)
        sha = self._commit(repo, revision)
        siblings = [{"rfilename": name} for name in sorted(repo.commits[sha])]
        raise Answer(200, {"id": repo_id, "sha": sha, "private": repo.private, "siblings": siblings})

    def _tree(self, repo_id: str, revision: str) -> None:
        repo = self._repo(repo_id)
        files = repo.commits[self._commit(repo, revision)]
        raise Answer(200, [_tree_entry(name, content) for name, content in sorted(files.items())])

    def _no_folder(self, repo_id: str, revision: str) -> None:
        self._commit(self._repo(repo_id), revision)
        raise refusal(404, "EntryNotFound", "no repository here has folders")

    def _paths(self, repo_id: str, revision: str, body: bytes) -> None:
        repo = self._repo(repo_id)
        files = repo.commits[self._commit(repo, revision)]
        asked = parse_qs(body.decode())["paths"]
        raise Answer(200, [_tree_entry(name, files[name]) for name in asked if name in files])

    def _branch(self, repo_id: str, branch: str, body: bytes) -> None:
        repo = self._repo(repo_id, write=True)
        if branch in repo.refs:
            raise refusal(409, "Conflict", "Reference already exists")
        repo.refs[branch] = self._commit(repo, json.loads(body).get("startingPoint", "main"))
        raise Answer(200, {})

    def _delete_branch(self, repo_id: str, branch: str) -> None:
        del self._repo(repo_id, write=True).refs[branch]
        raise Answer(200, {})

    def _preupload(self, repo_id: str, revision: str, body: bytes) -> None:
        opens_pull_request = "create_pr" in self.query
        repo = self._repo(repo_id, write=not opens_pull_request)
        there = repo.commits[self._commit(repo, revision)]
        raise Answer(
            200,
            {
                "files": [
                    {
                        "path": one["path"],
                        "uploadMode": "lfs" if _is_lfs(one["path"]) else "regular",
                        "shouldIgnore": False,
                        **({"oid": _oid(one["path"], there[one["path"]])} if one["path"] in there else {}),
                    }
                    for one in json.loads(body)["files"]
                ]
            },
        )

    def _batch(self, repo_id: str, body: bytes) -> None:
        self._repo(repo_id)
        raise Answer(200, {"transfer": "basic", "objects": [self._upload(one) for one in json.loads(body)["objects"]]})

    def _upload(self, wanted: dict[str, Any]) -> dict[str, Any]:
        oid, href = wanted["oid"], f"{self.server.url}/lfs/{wanted['oid']}"
        if oid in self.server.blobs:
            return wanted
        upload: dict[str, Any] = {"href": href}
        if self.server.in_parts:
            numbers = range(1, -(-wanted["size"] // PART) + 1)
            parts = {str(number): f"{href}/{number}" for number in numbers}
            upload = {"href": f"{href}/complete", "header": {"chunk_size": str(PART), **parts}}
        return {**wanted, "actions": {"upload": upload, "verify": {"href": f"{href}/verify"}}}

    def _take(self, oid: str, content: bytes) -> None:
        if hashlib.sha256(content).hexdigest() != oid:
            raise Answer(400, {"error": "the content is not that of the object"})
        self.server.blobs[oid] = content
        raise Answer(200, {})

    def _take_part(self, oid: str, number: str, body: bytes) -> None:
        self.server.parts.setdefault(oid, {})[int(number)] = body
        raise Answer(200, headers={"ETag": f'"{number}"'})

    def _complete(self, oid: str, body: bytes) -> None:
        uploaded = self.server.parts.pop(oid)
        self._take(oid, b"".join(uploaded[part["partNumber"]] for part in json.loads(body)["parts"]))

    def _verify(self, oid: str, body: bytes) -> None:
        raise Answer(200 if len(self.server.blobs.get(oid, b"")) == json.loads(body)["size"] else 404, {})

    def _make_commit(self, repo_id: str, revision: str, body: bytes) -> None:
        lines = [json.loads(line) for line in body.splitlines()]
        opens_pull_request = "create_pr" in self.query
        repo = self._repo(repo_id, write=not opens_pull_request)
        head = self._commit(repo, revision)
        header = lines[0]["value"]
        if header.get("parentCommit", head) != head:
            raise refusal(412, "PreconditionFailed", "the branch has moved on since the parent commit")
        files = dict(repo.commits[head])
        for line in lines[1:]:
            change: Callable[[dict[str, bytes], dict[str, Any]], None] = getattr(self, f"_{line['key']}")
            change(files, line["value"])
        number = sum(ref.startswith("refs/pr/") for ref in repo.refs) + 1
        with self.server.lock:
            sha = repo.add(f"refs/pr/{number}" if opens_pull_request else revision, files, header["summary"])
        answer = {"commitUrl": f"{self.server.url}/{repo_id}/commit/{sha}", "commitOid": sha}
        if opens_pull_request:
            answer["pullRequestUrl"] = f"{self.server.url}/{repo_id}/discussions/{number}"
        raise Answer(200, answer)

    def _file(self, files: dict[str, bytes], value: dict[str, Any]) -> None:
        files[value["path"]] = base64.b64decode(value["content"])

    def _lfsFile(self, files: dict[str, bytes], value: dict[str, Any]) -> None:  # noqa: N802 - as on the wire
        if value["oid"] not in self.server.blobs:
            raise Answer(400, {"error": f"{value['path']}: its content was not uploaded"})
        files[value["path"]] = self.server.blobs[value["oid"]]

    def _deletedFile(self, files: dict[str, bytes], value: dict[str, Any]) -> None:  # noqa: N802 - as on the wire
        del files[value["path"]]

    def _resolve(self, repo_id: str, revision: str, name: str) -> None:
        repo = self._repo(repo_id)
        if repo.gated:
            raise refusal(401 if self._namespaces is None else 403, "GatedRepo", "Access to this model is restricted")
        sha = self._commit(repo, revision)
        headers = {"X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        content = repo.commits[sha].get(name)
        if content is None:
            raise Answer(404, {}, {**headers, "X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})
        etag = f'"{_oid(name, content)}"'
        if _is_lfs(name):
            linked = {"X-Linked-Etag": etag, "X-Linked-Size": str(len(content))}
            raise Answer(302, b"", {**headers, **linked, "Location": f"{self.server.cdn}/{_oid(name, content)}"})
        raise Answer(200, content, {**headers, "ETag": etag})

    def _cdn(self, oid: str) -> None:
        if self.headers.get("Authorization"):
            raise Answer(400, {"error": "a token was sent to the CDN"})
        content = self.server.blobs[oid]
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked is None:
            raise Answer(200, content, {"ETag": f'"{oid}"'})
        self.server.ranges.append(asked[0])
        start = int(asked[1])
        of_all = f"bytes {start}-{len(content) - 1}/{len(content)}"
        raise Answer(206, content[start:], {"ETag": f'"{oid}"', "Content-Range": of_all})


def _is_lfs(name: str) -> bool:
    return name.endswith(".safetensors")


def _oid(name: str, content: bytes) -> str:
    """As LFS and as Git name a content."""
    if _is_lfs(name):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _tree_entry(name: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": _oid(name, content)}
    if _is_lfs(name):
        entry["lfs"] = {"oid": _oid(name, content), "size": len(content), "pointerSize": 135}
    return entry
