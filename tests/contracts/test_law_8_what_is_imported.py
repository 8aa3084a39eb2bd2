"""Law 8: importing `nlp_inference` loads neither torch nor nlp_training nor datasets; imports run downward only."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import nlp_inference
import nlp_training

ROOT = Path(nlp_inference.__file__).parents[1]
HEAVY = ("torch", "datasets", "evaluate", "accelerate")

ROOMS = {
    "nlp_inference": (
        "errors",
        "_utils",
        "hub",
        "registry",
        "document",
        "transforms",
        "rendering",
        "encoding",
        "architectures",
        "tasks",
        "processor",
        "backends",
        "drift",
        "predict",
        "golden",
        "files",
        "integrations",
        "serving",
        "cli",
        "testing",
        *("aligned_text", "layout", "mlflow_model"),  # former names
    ),
    "nlp_training": (
        "_utils",
        "metrics",
        "gold",
        "data",
        "config",
        "provenance",
        "augment",
        "batches",
        "evaluation",
        "tracking",
        "losses",
        "trainer",
        "data_report",
        "reports",
        "artefact",
        "adopt",
        "annotate",
        "runs",
        "cross_validation",
        "release",
        "export",
        "compress",
        "search",
        "cli",
        "testing",
    ),
}
"""The rooms of each package, the lowest first: a module imports from its room and from rooms before it, at its top and
inside functions."""
APART = ("backends", "architectures")  # tensors only


def modules(package):
    return sorted(Path(package.__file__).parent.rglob("*.py"))


def imports(path, *, top_level_only=False):
    """The modules that a file imports, but for those that only type checkers see."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        or (top_level_only and isinstance(node, ast.FunctionDef))
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) not in unseen and isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif id(node) not in unseen and isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module):
    return module.split(".")[1] if module.count(".") else ""


inference_modules = pytest.mark.parametrize("path", modules(nlp_inference), ids=name_of)
all_modules = pytest.mark.parametrize("path", modules(nlp_inference) + modules(nlp_training), ids=name_of)


def run_python(code):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_law_8_importing_the_package_loads_no_heavy_library():
    code = "import sys, nlp_inference, nlp_inference.errors; print(*sys.modules)"
    unwanted = {*HEAVY, "transformers", "nlp_training", "pydantic", "numpy"}
    assert unwanted.isdisjoint(run_python(code))


def test_law_8_documents_and_transforms_need_no_model_library():
    code = "import sys; from nlp_inference import Document, Compose, redact; print(*sys.modules)"
    assert {*HEAVY, "transformers", "nlp_training"}.isdisjoint(run_python(code))


def test_law_8_a_processor_works_where_torch_is_not_installed(saved_model):
    code = f"""
import sys
for absent in {(*HEAVY, "nlp_training")!r}:
    sys.modules[absent] = None
import numpy as np
from nlp_inference import Predictor, Processor
processor = Processor.from_pretrained({str(saved_model)!r})
class Backend:
    token_budget = 100
    threads = 1
    def forward(self, batch):
        return {{"logits": np.eye(5, dtype=np.float32)[np.full(batch["input_ids"].shape, 1)]}}
(document,) = Predictor(processor, Backend()).predict(["Ana"])
print(*[(span.start, span.end, span.label) for span in document.predicted.spans])
"""
    assert run_python(code) == ["(0,", "3,", "'PERSON')"]


def test_law_8_without_torch_the_torch_backend_says_which_command_installs_it(saved_model):
    code = f"""
import sys
sys.modules["torch"] = None
from nlp_inference import Predictor
from nlp_inference.errors import MissingExtraError
try:
    Predictor.from_pretrained({str(saved_model)!r})
except MissingExtraError as error:
    print(error)
"""
    assert 'pip install "nlp-inference[torch]' in " ".join(run_python(code))


def test_law_8_what_predicts_without_torch_loads_nothing_for_the_terminal_and_no_optional_library():
    code = f"""
import sys
for absent in {HEAVY!r}:
    sys.modules[absent] = None
from nlp_inference.backends.onnx import OnnxBackend
from nlp_inference.predict.predictor import Predictor
print(*[name for name in sys.modules if sys.modules[name] is not None])
"""
    optional = {"fsspec", "ftfy", "mlflow", "onnx", "pandas", "pyarrow", "ray", "rich", "scipy", "sklearn", "typer"}
    assert {*optional, "nlp_training"}.isdisjoint(run_python(code))


@pytest.mark.parametrize(
    "absent",
    ["torch", "datasets", "evaluate", "accelerate", "yaml", "scipy", "sklearn", "jinja2", "markupsafe", "psutil"],
)
def test_law_8_nlp_training_without_its_extra_says_which_command_installs_it(absent):
    code = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == {absent!r} or name.startswith({absent + "."!r}):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
try:
    import nlp_training.trainer
except ImportError as error:
    print(type(error).__name__, error)
"""
    said = " ".join(run_python(code))
    assert said.startswith("MissingExtraError")
    assert repr(absent) in said
    assert 'pip install "nlp-inference[train]' in said


@inference_modules
def test_law_8_nothing_that_production_installs_imports_training(path):
    assert not [module for module in imports(path) if module.split(".")[0] == "nlp_training"]


@all_modules
def test_law_8_imports_run_downward_only(path):
    module = name_of(path)
    package, own = module.split(".")[0], room(module)
    if not own:
        return  # the top of the package names what is below
    rooms = ROOMS[package]
    assert own in rooms, f"say in ROOMS where {package}.{own} stands"
    public = importlib.import_module(package).__all__ if own in ("cli", "testing") else []
    below = {*rooms[: rooms.index(own) + 1], *public}
    others = [one for one in imports(path) if one.split(".")[0] == package]
    assert not [one for one in others if room(one) not in below], f"{module} imports what stands above it"


@pytest.mark.parametrize("package", APART)
def test_law_8_backends_and_architectures_know_no_document(package):
    forbidden = {"document", "transforms", "predict"}
    for path in (ROOT / "nlp_inference" / package).rglob("*.py"):
        rooms = {room(module) for module in imports(path) if module.startswith("nlp_inference.")}
        assert rooms.isdisjoint(forbidden), path


@inference_modules
def test_law_8_heavy_libraries_are_imported_where_they_are_used(path):
    if room(name_of(path)) not in APART:
        at_top = {module.split(".")[0] for module in imports(path, top_level_only=True)}
        assert at_top.isdisjoint(HEAVY)


@all_modules
def test_law_8_training_may_use_all_but_serving_and_the_command_line(path):
    if name_of(path).startswith("nlp_training"):
        used = {room(module) for module in imports(path) if module.startswith("nlp_inference.")}
        assert used.isdisjoint({"serving", "cli"})


@pytest.mark.parametrize("package", [nlp_inference, nlp_training])
def test_law_8_exported_names_are_sorted_complete_and_importable(package):
    assert sorted(package.__all__) == package.__all__ == sorted(package._MODULES)
    for name in package.__all__:
        found = getattr(package, name)
        module = importlib.import_module(f"{package.__name__}.{package._MODULES[name]}")
        assert found is getattr(module, name)
        assert found.__doc__
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        _ = package.nothing_of_this_name


@all_modules
@pytest.mark.filterwarnings("ignore:nlp_inference.* is now:DeprecationWarning")
def test_law_8_what_a_module_exports_is_sorted_and_there(path):
    module = importlib.import_module(name_of(path))
    names = getattr(module, "__all__", [])
    assert list(names) == sorted(names)
    assert all(hasattr(module, name) for name in names)


@pytest.mark.parametrize(
    "imports",
    [
        "from nlp_inference import Processor\nfrom transformers import AutoProcessor",
        "from transformers import AutoProcessor\nfrom nlp_inference import Processor",
    ],
    ids=["before transformers", "after transformers"],
)
def test_auto_processor_knows_the_processor_once_it_is_imported(saved_model, imports):
    script = f"{imports}\nprint(type(AutoProcessor.from_pretrained({str(saved_model)!r})) is Processor)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "True"
