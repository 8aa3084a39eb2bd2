"""A model as a wheel that pip installs."""

import json
import os
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from nlp_inference._utils.digests import file_digest
from nlp_inference._utils.extras import require
from nlp_inference.errors import InvalidSpecError, OutputError, PublishError
from nlp_inference.integrations.model_package import MODEL_FOLDER
from nlp_inference.processor.fingerprint import Fingerprint
from nlp_training.release.files import find_release, select_models
from nlp_training.release.package_names import distribution_name, module_name, package_version
from nlp_training.release.package_requirements import PackageRequirements, package_requirements
from nlp_training.release.package_sources import write_sources
from nlp_training.release.plan import Plan, check_release

_BUILD = "import sys; from poetry.core.masonry.api import build_wheel; print(build_wheel(sys.argv[1]))"
_DATE = "1451606400"
"""The time of all files in a wheel, 2016-01-01, so that the same input gives the same bytes."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A built wheel.

    Attributes:
        path: the file.
        size: its size in bytes.
        name: the normalized name of the distribution.
        version: its normalized version.
        module: the module that users import.
        requires: the requirements that pip always installs.
        extras: the requirements of each extra of the package.
        texts: the number of user texts in the golden records.
        left_out: the names of files of the run that the wheel does not contain.
        note: what to do before pip can install the requirements; empty if nothing.
    """

    path: Path
    size: int
    name: str
    version: str
    module: str
    requires: tuple[str, ...]
    extras: dict[str, str]
    texts: int
    left_out: tuple[str, ...]
    note: str


def build_wheel(  # noqa: PLR0913 - each is an option of the command
    run: str | Path,
    *,
    name: str,
    version: str = "0.1.0",
    output: str | Path = "dist",
    backend: str | None = None,
    dtypes: Collection[str] = (),
    library: str | None = None,
    overwrite: bool = False,
    trust_remote_code: bool = False,
) -> Wheel:
    """Build a wheel of a model: processor, weights, exported models, golden records and model card.

    The golden records are replayed first. The same model, name, version and requirements give the same bytes with the
    same versions of poetry-core and zlib.

    Args:
        run: the folder of a run, or its `model` folder.
        name: the name of the distribution, such as `acme-ner`; its module is `acme_ner`.
        version: its version.
        output: the folder of the wheel, which is created if it does not exist.
        backend: the backend whose models the wheel contains; `None` for all models.
        dtypes: the precisions of its exported models; empty for all.
        library: the requirement of this library, such as `nlp-inference==1.2.0`; `None` pins the installed one.
        overwrite: whether to replace an existing wheel.
        trust_remote_code: whether code that was saved with the model may run, to verify it.

    Raises:
        MissingExtraError: poetry-core or a backend is not installed.
        InvalidSpecError: the name, the version or the requirement is invalid; or there is no such backend.
        OutputError: the wheel already exists, or its folder is a file.
        PublishError: the model is incomplete, contains files that must not be published, or changed during the checks.
        ArtefactError: the model cannot be loaded, or does not verify.

    Example:
        >>> build_wheel("runs/pii", name="acme pii")
        Traceback (most recent call last):
        nlp_inference.errors.InvalidSpecError: 'acme pii' is not a package name: ...; for example 'acme-pii'
    """
    name, version = distribution_name(name), package_version(version)
    module = module_name(name)
    path = Path(output) / f"{module}-{version}-py3-none-any.whl"
    _check_output(path, overwrite=overwrite)
    require("poetry.core.masonry.api", extra="train")
    if dtypes and backend is None:
        raise InvalidSpecError("dtypes select exported models of one backend; name it with backend, such as 'onnx'")
    release = find_release(run)
    selected = release if backend is None else select_models(release, backend=backend, dtypes=dtypes)
    plan = check_release(selected, f"{module}/{MODEL_FOLDER}", trust_remote_code=trust_remote_code)
    requirements = package_requirements(selected, _fingerprint(plan), library=library)
    with TemporaryDirectory(prefix="nlp-training-package-") as folder:
        project = Path(folder) / "project"
        digests = _copy_model(plan, project / module / MODEL_FOLDER)
        card = plan.contents["README.md"].decode()
        write_sources(project, name=name, version=version, digests=digests, card=card, requirements=requirements)
        built = _build(project, Path(folder) / "built")
        _check_content(built, project / module)
        _move(built, path)
    return _described(path, name, version, requirements, plan)


def _described(path: Path, name: str, version: str, requirements: PackageRequirements, plan: Plan) -> Wheel:
    return Wheel(
        path=path,
        size=path.stat().st_size,
        name=name,
        version=version,
        module=module_name(name),
        requires=requirements.required,
        extras=requirements.extras,
        texts=plan.texts,
        left_out=plan.release.left_out,
        note=requirements.note,
    )


def _check_output(path: Path, *, overwrite: bool) -> None:
    if path.parent.exists() and not path.parent.is_dir():
        raise OutputError(f"{str(path.parent)!r} is not a folder; name the folder of the wheel with --output")
    if path.exists() and not overwrite:
        raise OutputError(
            f"{str(path)!r} already exists, and users must be able to rely on a version; increase it with --version, "
            "or replace the file with --overwrite if nobody has installed it"
        )


def _fingerprint(plan: Plan) -> Fingerprint | None:
    found = json.loads(plan.contents["processor_config.json"]).get("fingerprint")
    return None if found is None else Fingerprint.model_validate(found)


def _copy_model(plan: Plan, folder: Path) -> dict[str, str]:
    """Write the verified files into a folder, and return their digests."""
    digests = {}
    for name, source in plan.release.files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name in plan.contents:
            target.write_bytes(plan.contents[name])
        else:
            copyfile(source, target)
        digests[name] = file_digest(target)
        if name in plan.weights:
            plan.check_digest(name, digests[name])
    return digests


def _build(project: Path, target: Path) -> Path:
    """Call the build hook of poetry-core in its own process, because it reads the working directory.

    Source: https://peps.python.org/pep-0517/
    """
    target.mkdir()
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _DATE}
    done = subprocess.run(  # noqa: S603 - this Python, with words of this module
        [sys.executable, "-c", _BUILD, str(target)],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PublishError(f"poetry-core cannot build the wheel: {reason}; nothing was written")
    return target / done.stdout.strip().splitlines()[-1]


def _check_content(wheel: Path, package: Path) -> None:
    """Check that the wheel contains each file of the package, whatever Git or poetry-core would leave out."""
    expected = {path.relative_to(package.parent).as_posix() for path in package.rglob("*") if path.is_file()}
    with ZipFile(wheel) as content:
        found = set(content.namelist())
    if missing := sorted(expected - found):
        raise PublishError(f"poetry-core left {', '.join(missing)} out of the wheel; nothing was written")


def _move(built: Path, path: Path) -> None:
    """Move the wheel to its place atomically, also from another file system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    copyfile(built, unfinished)
    unfinished.replace(path)
