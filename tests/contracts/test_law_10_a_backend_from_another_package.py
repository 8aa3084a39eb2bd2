"""Law 10: a backend of an installed package is exported to, verified, predicted with and published, by its name."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tiny_models import save_tiny_base
from toy_distributions import write_distribution

from nlp_inference import Predictor, Processor
from nlp_inference.backends.choice import choose_backend
from nlp_inference.backends.descriptors import backend_names, find_backend
from nlp_inference.errors import InvalidSpecError
from nlp_inference.golden import golden_file
from nlp_inference.golden.tolerance import tolerance_between
from nlp_training.config import RunConfig
from nlp_training.release.files import find_release, is_ours
from nlp_training.runs.run import train

DESCRIPTOR = '''
"""A backend whose format is an ONNX graph with its bytes in reverse order."""

from nlp_inference.backends.descriptors import BackendDescriptor, ExportedFiles, Tolerance


def load(folder, *, task, device, dtype, fingerprint, trust_remote_code):
    from reversed_backend.running import ReversedBackend

    return ReversedBackend(folder / "reversed" / "model.xnno", task=task, fingerprint=fingerprint)


REVERSED = BackendDescriptor(
    name="reversed",
    library="Reversed",
    modules=("reversed_backend",),
    runtime="reversed-backend",
    tolerances={"float32": Tolerance(1e-3, 1e-3, 1e-3)},
    load=load,
    exported=ExportedFiles(folder="reversed", stems={"float32": "model"}, suffixes=(".xnno",)),
    exporter="reversed_backend.exporting:ReversedExporter",
)
'''
RUNNING = """
import onnxruntime


class ReversedBackend:
    name = "reversed"
    dtype = "float32"
    runs_on = "a CPU"
    token_budget = 256
    threads = 1

    def __init__(self, path, *, task, fingerprint):
        if fingerprint is not None:
            fingerprint.check_export(path, source=str(path.parent))
        self.session = onnxruntime.InferenceSession(path.read_bytes()[::-1], providers=["CPUExecutionProvider"])
        self.inputs = [one.name for one in self.session.get_inputs()]
        self.outputs = list(task.outputs)

    def use_threads(self, count):
        pass

    def forward(self, batch):
        inputs = {name: batch[name] for name in self.inputs}
        return dict(zip(self.outputs, self.session.run(self.outputs, inputs)))
"""
EXPORTING = """
from nlp_training.export import Exporter
from nlp_training.export.graph import export_graph


class ReversedExporter(Exporter):
    def write(self, dtype, paths):
        graph = export_graph(self.source.model(), self.source.processor)
        paths[0].write_bytes(graph.SerializeToString()[::-1])
"""
PREDICT = """
import sys
from nlp_inference import Predictor
predictor = Predictor.from_pretrained(sys.argv[1], backend="reversed", verify=True)
[document] = predictor.predict(["Ana lives in Rome"])
print(predictor.backend.name, type(predictor.backend).__module__, len(document.predicted.spans))
"""
TEXTS = ["Ana lives in Rome", "Bo and Ana came to Oslo", "nobody was there"]


def install(site: Path, descriptor: str = DESCRIPTOR) -> Path:
    """Write the package as pip would install it."""
    files = {
        "reversed_backend/__init__.py": "",
        "reversed_backend/describing.py": descriptor,
        "reversed_backend/running.py": RUNNING,
        "reversed_backend/exporting.py": EXPORTING,
    }
    for name, content in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(content, encoding="utf-8")
    entry_points = "[nlp_inference.backends]\nreversed = reversed_backend.describing:REVERSED\n"
    write_distribution(site, "reversed_backend", entry_points=entry_points)
    return site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("site-packages"))


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(site)
    yield
    for name in [name for name in sys.modules if name.startswith("reversed_backend")]:
        del sys.modules[name]


def write_documents(path: Path, size: int) -> str:
    lines = []
    for index in range(size):
        name, city = ("Ana", "Bo", "Eva")[index % 3], ("Rome", "Oslo")[index % 2]
        text = f"{name} lives in {city}"
        spans = [
            {"start": 0, "end": len(name), "label": "PERSON"},
            {"start": len(text) - len(city), "end": len(text), "label": "CITY"},
        ]
        lines.append(json.dumps({"id": f"{path.stem}-{index}", "text": text, "spans": spans}))
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def model(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory, site: Path) -> Path:
    """A trained run, exported to the backend of the package by the command line."""
    folder = tmp_path_factory.mktemp("run")
    save_tiny_base(folder / "base", tokenizer, hidden_size=16, intermediate_size=32)
    config = {
        "name": "spans",
        "output_dir": str(folder),
        "cpu_threads": 1,
        "model": {"base": str(folder / "base")},
        "data": {
            name: write_documents(folder / f"{name}.jsonl", size)
            for name, size in {"train": 24, "validation": 6, "test": 6}.items()
        },
        "processor": {"task": "token-classification"},
        "training": {"num_train_epochs": 2, "learning_rate": 0.02, "bf16": False},
    }
    trained = train(RunConfig.model_validate(config)).model
    done = run(site, "-m", "nlp_training.cli", "export", str(trained), "--backend", "reversed", "--json")
    [exported] = json.loads(done)
    assert (exported["dtype"], exported["kept"], exported["points_lost"]) == ("float32", True, 0)
    return trained


def run(site: Path, *arguments: str) -> str:
    """Run Python in a new process where the package is installed."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_law_10_what_was_exported_predicts_in_a_fresh_process_and_verifies(model: Path, site: Path) -> None:
    name, module, _ = run(site, "-c", PREDICT, str(model)).split()
    assert (name, module) == ("reversed", "reversed_backend.running")
    said = run(site, "-m", "nlp_inference.cli", "verify", str(model), "--backend", "reversed")
    assert "with reversed in float32" in " ".join(said.split())
    assert "verified: " in said


def test_law_10_it_predicts_what_the_weights_predict(model: Path, installed: None) -> None:
    both = [Predictor.from_pretrained(model, backend=name).predict(TEXTS) for name in ("torch", "reversed")]
    weights, exported = ([[(s.start, s.end, s.label) for s in one.predicted.spans] for one in found] for found in both)
    assert weights == exported


def test_law_10_its_files_have_golden_records_and_digests_and_are_published(model: Path, installed: None) -> None:
    files = {"reversed/model.xnno", "reversed/model.golden.json"}
    assert golden_file("reversed", "float32") in files
    fingerprint = Processor.from_pretrained(model).fingerprint
    assert fingerprint is not None
    assert (list(fingerprint.exports), fingerprint.runtimes) == (["model.xnno"], ("reversed-backend",))
    assert fingerprint.packages["reversed-backend"] == "1.0"
    release = find_release(model)
    assert files <= set(release.files)
    assert release.exports == (("reversed", "float32"),)
    assert all(map(is_ours, files))


def test_law_10_without_the_package_the_model_loads_and_the_name_is_unknown(model: Path) -> None:
    assert Predictor.from_pretrained(model).backend.name == "torch"
    with pytest.raises(InvalidSpecError, match=r"the backend is 'reversed'; write 'auto', 'onnx'.* or 'torch'"):
        Predictor.from_pretrained(model, backend="reversed")


def test_law_10_its_tolerance_is_known_and_auto_never_takes_it(model: Path, installed: None) -> None:
    assert tolerance_between(("reversed", "float32"), ("torch", "bfloat16")).score == 0.2
    assert "reversed" in backend_names()
    assert choose_backend(model, backend="auto", dtype=None) == "torch"


@pytest.mark.parametrize(
    ("descriptor", "said"),
    [
        ("REVERSED = 1", "which is not a BackendDescriptor of that name"),
        ("import not_there_at_all", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_law_10_a_package_that_is_broken_is_named_and_does_not_break_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, descriptor: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.syspath_prepend(install(tmp_path, descriptor))
    with pytest.raises(InvalidSpecError, match=f"'reversed-backend' declares the backend 'reversed' .*{said}"):
        find_backend("reversed")
    assert choose_backend("org/model", backend="auto", dtype="int8") == "onnx"
    assert said in caplog.text
    for name in [name for name in sys.modules if name.startswith("reversed_backend")]:
        del sys.modules[name]
