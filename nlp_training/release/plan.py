"""What is about to be published: read once, then verified, so that what is sent is what was verified."""

import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCard

from nlp_inference import Predictor, golden
from nlp_inference._utils.digests import file_digest
from nlp_inference.errors import PublishError
from nlp_training.artefact.model_card import card_for
from nlp_training.config import load_config
from nlp_training.config.user_modules import import_modules, is_file
from nlp_training.release.configuration import published_configuration
from nlp_training.release.files import Release, find_release

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_CARD, _CONFIGURATION = "README.md", "training.yaml"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is about to be sent.

    Attributes:
        repo_id: where, such as `org/model`.
        release: the files.
        sizes: of each, in bytes.
        contents: of all but the weights, by name: the card with the Hub id in its snippets, the configuration without
            paths of this machine, everything else as it is.
        weights: SHA-256 of the weights, by name.
        texts: how many of your own texts `golden.json` holds.
    """

    repo_id: str
    release: Release
    sizes: dict[str, int]
    contents: dict[str, bytes]
    weights: dict[str, str]
    texts: int

    def check_digest(self, name: str, digest: str) -> None:
        """Compare what is about to be sent with what was verified.

        Raises:
            PublishError: it is something else.
        """
        if self.weights[name] != digest:
            raise _changed(name)


def plan_release(run: str | Path, repo_id: str, *, trust_remote_code: bool = False) -> Plan:
    """Find what would be published, and check it; nothing is sent.

    The modules that the run's configuration names are imported first: it is your own run.

    Args:
        run: the folder of a run, or its `model` folder.
        repo_id: such as `org/model`.
        trust_remote_code: whether code that was saved with the model may run.

    Raises:
        PublishError: the id is none; the model is not whole or holds what must not be published; its card is no model
            card; or it changed meanwhile.
        InvalidSpecError: its configuration cannot be read, or a module of it cannot be imported.
        ArtefactError: the model or an export of it cannot be loaded, or does not verify.
        MissingExtraError: the backend of an export is not installed, so that it cannot be verified.
    """
    _check_id(repo_id)
    release = find_release(run)
    read = {name: path.read_bytes() for name, path in release.files.items() if name not in release.weights}
    weights = {name: file_digest(release.files[name]) for name in release.weights}
    contents = dict(read)
    if (configuration := release.files.get(_CONFIGURATION)) is not None:
        modules = load_config(configuration).modules
        import_modules([one for one in modules if not is_file(one)])  # a file's code travels: it is trusted, or not
        contents[_CONFIGURATION] = published_configuration(configuration)
    golden.require_verified(release.folder, trust_remote_code=trust_remote_code)
    for backend, dtype in release.exports:
        Predictor.from_pretrained(
            release.folder,
            backend=backend,
            dtype=dtype,
            device="cpu",
            verify=True,
            trust_remote_code=trust_remote_code,
        )
    texts = sum(record.origin != "hostile" for record in golden.read_golden(release.folder).records)
    contents[_CARD] = _card(read[_CARD], repo_id)
    for name, content in read.items():
        if not release.files[name].is_file() or release.files[name].read_bytes() != content:
            raise _changed(name)
    on_disk = {name: path.stat().st_size for name, path in release.files.items()}
    sizes = {**on_disk, **{name: len(content) for name, content in contents.items()}}
    return Plan(repo_id, release, sizes, contents, weights, texts)


def _check_id(repo_id: str) -> None:
    if not _HUB_ID.fullmatch(repo_id):
        raise PublishError(f"{repo_id!r} is no Hub id; write it as org/model, with letters, digits, '-', '_' and '.'")


def _card(content: bytes, repo_id: str) -> bytes:
    text = card_for(content.decode(), repo_id)
    try:
        ModelCard(text)
    except (ValueError, TypeError) as error:
        raise PublishError(f"README.md is no model card that the Hub can read: {error}") from error
    return text.encode()


def _changed(name: str) -> PublishError:
    return PublishError(
        f"{name!r} changed while the model was being published, as when a training ends; nothing was published: "
        "publish again"
    )
