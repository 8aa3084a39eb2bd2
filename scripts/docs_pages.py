"""MkDocs hook for pages of the site that are not files in `docs/`; see mkdocs.yml.

README, CONTRIBUTING, CHANGELOG and the notebooks become pages, and the page of commands is generated from their help.

Links are written for the repository, such as `docs/data.md` in README.md. On the site they point to the page of that
file. Any other linked file of the repository is copied to the site.
"""

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer.main import get_command

from nlp_inference.cli import app as inference
from nlp_training.cli import app as training

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "examples/README.md": "examples/index.md",
}
"""Page for each source file; the notebooks are added at build time."""
COMMANDS = "reference/commands.md"
EXTERNAL = re.compile(r"[a-z]+:|//|#")
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the generated pages and the linked files of the repository."""
    texts = {page: (ROOT / source).read_text(encoding="utf-8") for source, page in PAGES.items()}
    for notebook in sorted((ROOT / "examples").glob("*.ipynb")):
        page = f"examples/{notebook.stem}.md"
        PAGES[f"examples/{notebook.name}"] = page
        texts[page] = "\n\n".join(_cells(notebook))
        files.append(File.generated(config, f"examples/{notebook.name}", abs_src_path=str(notebook)))
    texts[COMMANDS] = "\n\n".join(_commands())
    for page, text in texts.items():
        files.append(File.generated(config, page, content=text))
    for page in files.documentation_pages():
        for target in _links(page.content_string):
            source = _source(target, page.src_uri)
            if source not in PAGES and not source.startswith("docs/") and (ROOT / source).is_file():
                files.append(File.generated(config, source, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - a hook
    """Convert links to pages of the site."""

    def on_site(link: re.Match[str]) -> str:
        before, target, after = link.groups()
        if EXTERNAL.match(target):
            return link[0]
        path, anchor = _source(target, page.file.src_uri), target.partition("#")[1:]
        found = PAGES.get(path, path.removeprefix("docs/"))
        return before + posixpath.relpath(found, posixpath.dirname(page.file.src_uri)) + "".join(anchor) + after

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(on_site, part) for part in parts)


def _links(markdown: str) -> list[str]:
    text = FENCE.sub("", markdown)
    return [target for _, target, _ in LINK.findall(text) if not EXTERNAL.match(target)]


def _source(target: str, page: str) -> str:
    """Return the repository file that a link on a page points to."""
    by_page = {made: source for source, made in PAGES.items()}
    folder = posixpath.dirname(by_page.get(page, f"docs/{page}"))
    return posixpath.normpath(posixpath.join(folder, target.partition("#")[0]))


def _cells(notebook: Path) -> Iterator[str]:
    """Yield a notebook as Markdown: its texts, its code and its outputs."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    for number, cell in enumerate(cells):
        source = "".join(cell["source"])
        yield source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```"
        if number == 0:
            yield f'<a href="{notebook.name}" download>Download this notebook</a>'
        for output in cell.get("outputs", ()):
            text = output.get("text") or output.get("data", {}).get("text/plain") or ""
            yield f'```text title="Output"\n{"".join(text).rstrip()}\n```'


def _commands() -> Iterator[str]:
    """Yield each command with its arguments and options."""
    yield "# Commands"
    yield "Every command shows its help with `--help`."
    for name, app in (("nlp-inference", inference), ("nlp-training", training)):
        yield from _command(get_command(app), name, level=2)


def _command(command: click.Command, name: str, *, level: int) -> Iterator[str]:
    yield f"{'#' * level} {name}"
    yield command.help or ""
    inner = getattr(command, "commands", {})
    if not inner:
        yield "| argument or option | meaning | default |\n| --- | --- | --- |\n" + "\n".join(map(_row, command.params))
    for one in inner.values():
        yield from _command(one, f"{name} {one.name}", level=level + 1)


def _row(parameter: click.Parameter) -> str:
    is_option = parameter.param_type_name == "option"
    names = [*parameter.opts, *parameter.secondary_opts] if is_option else [(parameter.name or "").upper()]
    default = parameter.default
    shown = "" if default in (None, False, ()) or callable(default) else f"`{default}`"
    text = " ".join((getattr(parameter, "help", None) or "").split()).replace("|", "\\|")
    return f"| {', '.join(f'`{name}`' for name in names)} | {text} | {shown} |"
