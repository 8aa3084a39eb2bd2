"""The notebooks of examples/ run, each in an empty folder, and hold small outputs that name no machine."""

import re
import runpy
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def outputs(path):
    """What the cells of a notebook print and return, as text."""
    found = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", ())]
    return found, "".join(one.get("text") or one["data"]["text/plain"] for one in found)


def test_there_are_three_notebooks_and_the_page_names_each():
    page = (EXAMPLES / "README.md").read_text()
    assert len(NOTEBOOKS) == 3
    assert re.findall(r"\((\w+\.ipynb)\)", page) == [
        "inference_in_a_service.ipynb",
        "train_on_your_csv.ipynb",
        "idea_to_published_model.ipynb",
    ]


@notebooks
def test_a_notebook_is_valid_and_its_links_lead_to_files(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        for target in re.findall(r"\]\(([^)]+)\)", cell.source if cell.cell_type == "markdown" else ""):
            assert (EXAMPLES / target).is_file(), target


@notebooks
def test_the_outputs_of_a_notebook_are_small_and_name_no_machine(path):
    found, text = outputs(path)
    assert {one.output_type for one in found} <= {"stream", "execute_result"}
    assert "stderr" not in {one.get("name") for one in found}
    assert 0 < len(text) < 8_000
    assert not re.search(r"\x1b|(?<![\w.])/(?:root|home|tmp|work|usr|opt|Users)/", text)


@pytest.mark.slow
@notebooks
def test_a_notebook_runs(path):
    run_notebook = runpy.run_path(str(ROOT / "scripts" / "run_examples.py"))["run_notebook"]
    ran = run_notebook(path)
    with_output = [bool(cell.outputs) for cell in ran.cells if cell.cell_type == "code"]
    committed = [bool(cell.outputs) for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert with_output == committed
