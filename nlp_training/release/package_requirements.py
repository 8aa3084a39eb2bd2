"""The requirements of a model package: this library, pinned, and the packages of custom code."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distribution, requires, version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from nlp_inference.backends.descriptors import BackendDescriptor, all_backends
from nlp_inference.errors import InvalidSpecError
from nlp_inference.processor.fingerprint import Fingerprint
from nlp_training.artefact.requirements import LIBRARY, library_url
from nlp_training.release.files import Release


@dataclass(frozen=True, slots=True)
class PackageRequirements:
    """The requirements of a model package.

    Attributes:
        required: the requirements that pip always installs.
        extras: additional requirements by extra of the model package, which has the name of the backend.
        note: what to do before pip can install the library; empty if pip finds it by itself.
    """

    required: tuple[str, ...]
    extras: dict[str, str]
    note: str


def package_requirements(
    release: Release, fingerprint: Fingerprint | None, *, library: str | None = None
) -> PackageRequirements:
    """Return the requirements of a model package.

    The library is required with what runs one of the models in the package: nothing for ONNX Runtime, which the base
    contains, else the extra of the first backend. Other backends become extras of the model package.

    Args:
        release: the files of the package.
        fingerprint: the fingerprint of the model, which names the packages of custom transforms and tasks.
        library: the requirement of this library; `None` pins it to the installed commit or version.

    Raises:
        InvalidSpecError: `library` is not a requirement of this library with one version or URL and without extras.
    """
    pinned = _checked_library(library) if library is not None else Requirement(_installed_library())
    backends = _backends_of(release)
    base = [one for one in backends if one.extra is None] or backends[:1]
    needed = {one.extra for one in base if one.extra is not None}
    extras = {one.name: _with_extras(pinned, {one.extra}) for one in backends if one.extra and one not in base}
    required = (_with_extras(pinned, needed), *_custom_packages(fingerprint))
    unknown_source = library is None and library_url() is None and distribution(LIBRARY).read_text("direct_url.json")
    note = (
        f"{LIBRARY} was installed from a folder here, so the package requires {pinned} from a package index. Install "
        "that version first where the package is installed, or name a source with --library, such as "
        f"'{LIBRARY} @ git+https://HOST/REPOSITORY@COMMIT'"
    )
    return PackageRequirements(required, extras, note if unknown_source else "")


def library_python() -> str:
    """Return the versions of Python that this library supports, such as `>=3.11`."""
    return str(distribution(LIBRARY).metadata["Requires-Python"])


def _installed_library() -> str:
    url = library_url()
    return f"{LIBRARY} @ {url}" if url else f"{LIBRARY}=={Version(version(LIBRARY)).public}"


def _checked_library(given: str) -> Requirement:
    expected = f"write one version or one source, such as '{LIBRARY}==1.2.0' or '{LIBRARY} @ git+https://...@COMMIT'"
    try:
        found = Requirement(given)
    except InvalidRequirement as error:
        raise InvalidSpecError(f"{given!r} is not a requirement (PEP 508): {error}; {expected}") from error
    exact = [one for one in found.specifier if one.operator in ("==", "===") and not one.version.endswith(".*")]
    if canonicalize_name(found.name) != LIBRARY or not (found.url or exact) or found.extras or found.marker:
        raise InvalidSpecError(f"{given!r} does not pin {LIBRARY}; {expected}, without extras and markers")
    return found


def _with_extras(library: Requirement, extras: set[str]) -> str:
    found = Requirement(str(library))
    found.extras = set(extras)
    return str(found)


def _backends_of(release: Release) -> Sequence[BackendDescriptor]:
    """Return the backends that run a model of the release, in the order in which `auto` tries them."""
    exported = {name for name, _ in release.exports}
    weights = release.weights - {name for name in release.weights if "/" in name}
    found = [one for one in all_backends() if (one.exported is None and weights) or one.name in exported]
    return sorted(found, key=lambda one: (one.auto_rank is None, one.auto_rank or 0))


def _custom_packages(fingerprint: Fingerprint | None) -> list[str]:
    """Return the packages of custom transforms and tasks, in the versions of the training."""
    if fingerprint is None:
        return []
    runtimes = {one.runtime for one in all_backends()} | {"torch", *fingerprint.runtimes}
    of_library = {
        LIBRARY,
        "tokenizers",
        *(canonicalize_name(Requirement(line).name) for line in requires(LIBRARY) or ()),
    }
    known = runtimes | of_library
    return [
        f"{name}=={found}"
        for name, found in sorted(fingerprint.packages.items())
        if canonicalize_name(name) not in known
    ]
