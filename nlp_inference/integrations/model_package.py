"""A model in an installed Python package, as `nlp-training package` builds it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_inference._utils.digests import file_digest, short_digest
from nlp_inference._utils.saved_files import read_saved_file
from nlp_inference.document.limits import MAX_CHARACTERS
from nlp_inference.errors import ArtefactError

if TYPE_CHECKING:
    from nlp_inference.predict.predictor import Predictor
    from nlp_inference.predict.token_budget import TokenBudget

MODEL_FOLDER = "model"
"""The folder of the model in its package."""

MANIFEST = "manifest.json"
"""The file that names the distribution, its version and the digest of each file of the model."""


@dataclass(frozen=True)
class ModelPackage:
    """The model of an installed package. The `__init__.py` of the package creates this object, and exports `load`.

    Args:
        distribution: the name of the distribution, such as `acme-ner`.
        version: the version that was written into the package when it was built.
        folder: the folder of the package.

    Example:
        >>> package = ModelPackage("acme-ner", "1.2.0", Path("no/acme_ner"))
        >>> package.load()
        Traceback (most recent call last):
        nlp_inference.errors.ArtefactError: the installation of 'acme-ner' in 'no' is incomplete: ...
    """

    distribution: str
    version: str
    folder: Path

    def load(
        self,
        *,
        backend: str = "auto",
        device: str | None = None,
        dtype: str | None = None,
        trust_remote_code: bool = False,
        verify: bool = False,
        workers: int | None = None,
        token_budget: "TokenBudget | None" = None,
        max_characters: int | None = MAX_CHARACTERS,
    ) -> "Predictor":
        """Check the installation and load the model.

        Args:
            backend: as for `Predictor.from_pretrained`, as all other arguments.
            device: such as `"cpu"` or `"cuda:1"`; `None` uses a GPU if there is one.
            dtype: precision of the weights; for an exported model `None` means the first one that the package contains.
            trust_remote_code: whether code that was saved with the model may run.
            verify: whether to replay the golden records of the model first.
            workers: how many batches run at the same time.
            token_budget: tokens of a batch, or `measured`.
            max_characters: the maximum length of a document.

        Raises:
            ArtefactError: the installed files are not those of one version, or the model cannot be loaded.
            MissingExtraError: the backend is not installed.
            VerificationError: `verify` is set, and the result of a golden record differs from the recorded one.
        """
        folder = self.checked_folder()
        from nlp_inference.predict.predictor import Predictor

        return Predictor.from_pretrained(
            folder,
            backend=backend,
            device=device,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            verify=verify,
            workers=workers,
            token_budget=token_budget,
            max_characters=max_characters,
        )

    def checked_folder(self) -> Path:
        """Return the folder of the model after checking that all files belong to the installed version.

        Files of weights are only checked to exist: loading them compares their digests with the fingerprint.

        Raises:
            ArtefactError: the installed files are not those of one version.
        """
        files = self._manifest()
        self._check_versions()
        model = self.folder / MODEL_FOLDER
        there = {
            path.relative_to(model).as_posix()
            for path in model.rglob("*")
            if path.is_file() and path.parent.name != "__pycache__"  # pip compiles the sources of custom transforms
        }
        if missing := sorted(files.keys() - there):
            raise self._damaged(f"is incomplete: it has no {', '.join(missing)}")
        if unknown := sorted(there - files.keys()):
            raise self._damaged(f"contains files that version {self.version} does not have: {', '.join(unknown)}")
        compared_on_loading = self._weights(model)
        for name in sorted(name for name in files if Path(name).name not in compared_on_loading):
            found = file_digest(model / name)
            if found != files[name]:
                raise self._damaged(
                    f"contains another {name}: its SHA-256 is {short_digest(found)}, that of version {self.version} is "
                    f"{short_digest(files[name])}"
                )
        return model

    def info(self) -> dict[str, Any]:
        """Return the name, the version, the task, the models and the fingerprint, without loading a model.

        Raises:
            ArtefactError: as for `checked_folder`.
        """
        from nlp_inference.backends.descriptors import all_backends

        model = self.checked_folder()
        settings = json.loads(read_saved_file(model / "processor_config.json"))
        exported = {one.name: one.exported.in_folder(model) for one in all_backends() if one.exported is not None}
        weights = [one.name for one in all_backends() if one.exported is None and one.holds(model)]
        return {
            "distribution": self.distribution,
            "version": self.version,
            "folder": str(model),
            "task": settings["task"],
            "weights": weights,
            "exports": {name: dtypes for name, dtypes in exported.items() if dtypes},
            "fingerprint": settings.get("fingerprint"),
        }

    def _manifest(self) -> Mapping[str, str]:
        try:
            content = json.loads(read_saved_file(self.folder / MANIFEST))
            named, files = (content["distribution"], content["version"]), dict[str, str](content["files"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(f"is incomplete: {MANIFEST} cannot be read ({error})") from error
        if named != (self.distribution, self.version):
            raise self._damaged(
                f"mixes versions: its code is {self.distribution} {self.version}, its model {' '.join(map(str, named))}"
            )
        return files

    def _check_versions(self) -> None:
        """Compare the version of the package with the metadata next to it, and with the metadata that Python finds."""
        next_to_it = sorted(
            {one.version for one in distributions(name=self.distribution, path=[str(self.folder.parent)])}
        )
        if next_to_it != [self.version]:
            found = f"those of {' and '.join(next_to_it)}" if next_to_it else "none"
            raise self._damaged(f"mixes versions: its model is {self.version}, but its metadata are {found}")
        try:
            first = version(self.distribution)
        except PackageNotFoundError:  # the package is imported from a folder that has left sys.path
            return
        if first != self.version:
            raise self._damaged(
                f"is {self.version}, but another installation on sys.path is {first}, which pip and importlib.metadata "
                "report"
            )

    def _weights(self, model: Path) -> set[str]:
        """Return the names of the files whose digests are in the fingerprint, which loading compares with the files."""
        try:
            fingerprint = json.loads(read_saved_file(model / "processor_config.json")).get("fingerprint") or {}
            return {*fingerprint.get("weights", {}), *fingerprint.get("exports", {})}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise self._damaged(f"contains a processor_config.json that cannot be read ({error})") from error

    def _damaged(self, problem: str) -> ArtefactError:
        place = self.folder.parent
        module = self.folder.name
        return ArtefactError(
            f"the installation of {self.distribution!r} in {str(place)!r} {problem}. Delete {module} and "
            f"{module}-*.dist-info in this folder, then install one version: "
            f"pip install --force-reinstall --no-deps {self.distribution}=={self.version}"
        )
