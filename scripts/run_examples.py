"""Run the notebooks of examples/; `--write` stores their outputs."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import nbformat
import typer
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
_SECONDS = 900


def main(
    notebooks: Annotated[list[Path] | None, typer.Argument(help="Notebooks; default: all of examples/.")] = None,
    *,
    write: Annotated[bool, typer.Option("--write", help="Store the outputs in the notebooks.")] = False,
) -> None:
    """Run notebooks, each in an empty folder."""
    for path in notebooks or sorted(EXAMPLES.glob("*.ipynb")):
        typer.echo(f"running {path.name}")
        notebook = run_notebook(path)
        if write:
            nbformat.write(notebook, path)


def run_notebook(path: Path) -> nbformat.NotebookNode:
    """Run a notebook and return it with the printed and returned outputs of its cells.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=_SECONDS,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": folder}},
        )
        client.execute()
    for cell in notebook.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = None
    notebook.metadata.pop("language_info", None)
    return notebook


if __name__ == "__main__":
    typer.run(main)
