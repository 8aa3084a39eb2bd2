"""The source files of a model package, from which poetry-core builds the wheel."""

import json
import re
from pathlib import Path

from nlp_inference.integrations.model_package import MANIFEST
from nlp_training.release.package_names import module_name
from nlp_training.release.package_requirements import PackageRequirements, library_python

_INIT = '''"""The model {name} {version}: `load()` returns its Predictor."""

from pathlib import Path

from nlp_inference.integrations.model_package import ModelPackage

__all__ = ["__version__", "load", "package"]
__version__ = "{version}"

package = ModelPackage("{name}", __version__, Path(__file__).resolve().parent)
load = package.load
'''
_MAIN = '''"""The command `{name}`, also `python -m {module}`."""

from nlp_inference.cli.model_package import run_package

from {module} import package


def main() -> None:
    """Run the command."""
    run_package(package)


if __name__ == "__main__":
    main()
'''
_LOADED = re.compile(r"from nlp_inference import Predictor\n\npredictor = Predictor\.from_pretrained\([^\n]*")


def write_sources(
    folder: Path, *, name: str, version: str, digests: dict[str, str], card: str, requirements: PackageRequirements
) -> None:
    """Write all files of a package except the model.

    Args:
        folder: the folder of the project; the package is a folder in it.
        name: the normalized name of the distribution.
        version: its normalized version.
        digests: the SHA-256 of each file of the model, by its path in the folder of the model.
        card: the model card, which becomes the description of the package.
        requirements: the requirements of the package.
    """
    module = module_name(name)
    package = folder / module
    package.mkdir(parents=True, exist_ok=True)
    manifest = {"distribution": name, "version": version, "files": dict(sorted(digests.items()))}
    files = {
        folder / "README.md": package_readme(card, module=module),
        folder / "pyproject.toml": _project(name, version, module, requirements),
        package / "__init__.py": _INIT.format(name=name, version=version),
        package / "__main__.py": _MAIN.format(name=name, module=module),
        package / "py.typed": "",
        package / MANIFEST: json.dumps(manifest, indent=2) + "\n",
    }
    for path, text in files.items():
        path.write_text(text, encoding="utf-8", newline="\n")


def package_readme(card: str, *, module: str) -> str:
    """Return the text of a model card, without its metadata, that loads the model from the package.

    Example:
        >>> card = "---\\ntags: [a]\\n---\\n# pii\\n\\nfrom nlp_inference import Predictor\\n\\n"
        >>> print(package_readme(card + 'predictor = Predictor.from_pretrained("pii")  # ...', module="acme_ner"))
        # pii
        <BLANKLINE>
        import acme_ner
        <BLANKLINE>
        predictor = acme_ner.load()
    """
    body = card.split("\n---\n", 1)[1] if card.startswith("---\n") and "\n---\n" in card else card
    return _LOADED.sub(f"import {module}\n\npredictor = {module}.load()", body).lstrip("\n")


def _project(name: str, version: str, module: str, requirements: PackageRequirements) -> str:
    """Return the `pyproject.toml`: a JSON string without escaped surrogates is a string of TOML."""
    lines = [
        "[project]",
        f"name = {_toml(name)}",
        f"version = {_toml(version)}",
        f"description = {_toml(f'A model of {name} for nlp-inference: load() returns its Predictor.')}",
        'readme = "README.md"',
        f"requires-python = {_toml(library_python())}",
        f"dependencies = {_toml(list(requirements.required))}",
        "[project.optional-dependencies]",
        *(f"{extra} = {_toml([line])}" for extra, line in sorted(requirements.extras.items())),
        "[project.scripts]",
        f"{name} = {_toml(f'{module}.__main__:main')}",
        "[build-system]",
        'requires = ["poetry-core>=2.0"]',
        'build-backend = "poetry.core.masonry.api"',
        "[tool.poetry]",
        f"packages = [{{ include = {_toml(module)} }}]",
        f"include = [{{ path = {_toml(f'{module}/**/*')}, format = ['wheel'] }}]  # also files that Git ignores",
    ]
    return "\n".join(lines) + "\n"


def _toml(value: str | list[str]) -> str:
    return json.dumps(value, ensure_ascii=False)
