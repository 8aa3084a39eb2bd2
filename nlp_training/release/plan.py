"""The plan of a release: files are read once and then verified, so that the verified files are uploaded."""

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
    """A verified release before the upload.

    Attributes:
        repo_id: the Hub repository, such as `org/model`, or another name that the card loads.
        release: the files.
        sizes: the size of each file in bytes.
        contents: the contents of all files except the weights, by name: the card with the Hub id in its snippets, the
            configuration without local paths, and other files unchanged.
        weights: the SHA-256 of the weights, by name.
        texts: the number of user texts in `golden.json`.
    """

    repo_id: str
    release: Release
    sizes: dict[str, int]
    contents: dict[str, bytes]
    weights: dict[str, str]
    texts: int

    def check_digest(self, name: str, digest: str) -> None:
        """Compare a file to upload with the verified file.

        Raises:
            PublishError: the file has changed.
        """
        if self.weights[name] != digest:
            raise _changed(name)


def plan_release(run: str | Path, repo_id: str, *, trust_remote_code: bool = False) -> Plan:
    """Select and check the files to publish, without uploading them.

    The modules that the configuration names are imported first, because the run is the user's own.

    Args:
        run: the folder of a run, or its `model` folder.
        repo_id: such as `org/model`.
        trust_remote_code: whether code that was saved with the model may run.

    Raises:
        PublishError: the Hub id is invalid; the model is incomplete or contains files that must not be published; its
            card is not a model card; or a file changed during the checks.
        InvalidSpecError: the configuration cannot be read, or one of its modules cannot be imported.
        ArtefactError: the model or an export cannot be loaded, or does not verify.
        MissingExtraError: the backend of an export is not installed, so it cannot be verified.
    """
    _check_id(repo_id)
    return check_release(find_release(run), repo_id, trust_remote_code=trust_remote_code)


def check_release(release: Release, loaded_as: str, *, trust_remote_code: bool = False) -> Plan:
    """Verify the files of a release, and read those that are not weights.

    Args:
        release: the files.
        loaded_as: what the snippets of the model card load, such as a Hub id.
        trust_remote_code: whether code that was saved with the model may run.

    Raises:
        PublishError: as for `plan_release`, as all other errors.
        InvalidSpecError: the configuration cannot be read, or one of its modules cannot be imported.
        ArtefactError: the model or an export cannot be loaded, or does not verify.
        MissingExtraError: the backend of an export is not installed.
    """
    read = {name: path.read_bytes() for name, path in release.files.items() if name not in release.weights}
    weights = {name: file_digest(release.files[name]) for name in release.weights}
    contents = dict(read)
    if (configuration := release.files.get(_CONFIGURATION)) is not None:
        modules = load_config(configuration).modules
        import_modules(
            [one for one in modules if not is_file(one)]
        )  # code in files is saved with the model and needs trust
        contents[_CONFIGURATION] = published_configuration(configuration)
    _verify(release, trust_remote_code=trust_remote_code)
    texts = sum(record.origin != "hostile" for record in golden.read_golden(release.folder).records)
    contents[_CARD] = _card(read[_CARD], loaded_as)
    for name, content in read.items():
        if not release.files[name].is_file() or release.files[name].read_bytes() != content:
            raise _changed(name)
    on_disk = {name: path.stat().st_size for name, path in release.files.items()}
    sizes = {**on_disk, **{name: len(content) for name, content in contents.items()}}
    return Plan(loaded_as, release, sizes, contents, weights, texts)


def _verify(release: Release, *, trust_remote_code: bool) -> None:
    """Replay the golden records of the weights and of each exported model."""
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


def _check_id(repo_id: str) -> None:
    if not _HUB_ID.fullmatch(repo_id):
        raise PublishError(f"{repo_id!r} is not a Hub id; write org/model, with letters, digits, '-', '_' and '.'")


def _card(content: bytes, repo_id: str) -> bytes:
    text = card_for(content.decode(), repo_id)
    try:
        ModelCard(text)
    except (ValueError, TypeError) as error:
        raise PublishError(f"README.md is not a model card that the Hub can read: {error}") from error
    return text.encode()


def _changed(name: str) -> PublishError:
    return PublishError(
        f"{name!r} changed while the model was being published, for example by a training; nothing was published: "
        "publish again"
    )
