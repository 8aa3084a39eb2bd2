"""Export to OpenVINO: the same predictions in every precision, alone and in batches; what is worse is refused."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

import openvino
from made_up_records import span_records, write_splits
from test_export import TEXTS, narrow_model, worse
from typer.testing import CliRunner

from nlp_inference import Predictor, Processor
from nlp_inference.backends import openvino as backend_module
from nlp_inference.backends.choice import choose_backend, choose_dtype
from nlp_inference.backends.openvino import METADATA, OpenVinoBackend, has_bfloat16
from nlp_inference.cli import app as inference
from nlp_inference.errors import ArtefactError, InvalidSpecError, MissingExtraError
from nlp_inference.golden import read_golden
from nlp_inference.golden.invariance import run_invariance
from nlp_training.cli import app as training
from nlp_training.config import RunConfig
from nlp_training.export import export_model, exporter
from nlp_training.export.graph import export_graph, save_graph
from nlp_training.release.files import find_release
from nlp_training.runs.run import train

ROOT = Path(exporter.__file__).parents[2]
HERE = tuple(dtype for dtype in ("float32", "bfloat16", "int8") if dtype != "bfloat16" or has_bfloat16())
"""The precisions of this CPU."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made")


@pytest.fixture(scope="module")
def trained(tiny_base: Path, made: Path) -> Path:
    """A trained run, never to be changed."""
    config = {
        "name": "spans",
        "output_dir": str(made / "runs"),
        "cpu_threads": 1,
        "model": {"base": str(tiny_base)},
        "data": write_splits(made, span_records),
        "processor": {"preprocess": ["strip_html"], "task": "token-classification"},
        "training": {"num_train_epochs": 4, "learning_rate": 0.02, "per_device_train_batch_size": 8, "bf16": False},
    }
    return train(RunConfig.model_validate(config)).model


@pytest.fixture(scope="module")
def exported(trained: Path, made: Path) -> tuple[Path, list[dict[str, Any]]]:
    """The run with all exports beside it, never to be changed."""
    pytest.importorskip("nncf")
    folder = shutil.copytree(trained, made / "exported")
    result = CliRunner().invoke(training, ["export", str(folder), "--backend", "openvino", "--json"])
    assert result.exit_code == 0, result.output
    return folder, json.loads(result.stdout)


@pytest.fixture
def copy(exported: tuple[Path, Any], tmp_path: Path) -> Path:
    return shutil.copytree(exported[0], tmp_path / "copy")


def test_export_writes_every_precision_with_golden_records_and_scores(exported: tuple[Path, Any]) -> None:
    folder, said = exported
    assert [(one["dtype"], one["kept"], one["score"], one["documents"]) for one in said] == [
        (dtype, True, "f1", 12) for dtype in HERE
    ]
    stems = {"float32": "model", "bfloat16": "model_bf16", "int8": "model_int8"}
    names = {f"{stems[dtype]}{suffix}" for dtype in HERE for suffix in (".xml", ".bin", ".golden.json")}
    assert {path.name for path in (folder / "openvino").iterdir()} == names
    sizes = {one["dtype"]: one["size"] for one in said}
    assert sizes["int8"] < sizes["float32"] / 2
    assert sizes.get("bfloat16", 0) < 0.7 * sizes["float32"]
    fingerprint = Processor.from_pretrained(folder).fingerprint
    assert fingerprint is not None
    assert set(fingerprint.exports) == {name for name in names if not name.endswith(".json")}
    assert fingerprint.runtimes == ("openvino",)
    release = find_release(folder)
    assert {f"openvino/{name}" for name in names} <= set(release.files)
    assert release.exports == tuple(("openvino", dtype) for dtype in HERE)


@pytest.mark.parametrize("dtype", HERE)
def test_verify_and_predict_run_each_export(exported: tuple[Path, Any], dtype: str) -> None:
    folder, _ = exported
    result = CliRunner().invoke(inference, ["verify", str(folder), "--backend", "openvino", "--dtype", dtype])
    assert result.exit_code == 0, result.output
    predictor = Predictor.from_pretrained(folder, backend="openvino", dtype=dtype, verify=True)
    assert (predictor.backend.name, predictor.backend.dtype) == ("openvino", dtype)
    assert "openvino 20" in predictor.backend.runs_on
    assert read_golden(folder, name="openvino/model_int8.golden.json").backend == "openvino"
    texts = [text for text in TEXTS if text]
    found = predictor.predict(texts), Predictor.from_pretrained(folder, backend="torch").predict(texts)
    here, weights = ([[(s.start, s.end, s.label) for s in one.predicted.spans] for one in each] for each in found)
    assert here == weights or dtype != "float32"


@pytest.mark.parametrize("dtype", HERE)
def test_law_5_a_prediction_depends_on_neither_neighbours_nor_padding(exported: tuple[Path, Any], dtype: str) -> None:
    predictor = Predictor.from_pretrained(exported[0], backend="openvino", dtype=dtype)
    together = predictor.backend.forward(predictor.processor(TEXTS))["logits"]
    for text, row in zip(TEXTS, together, strict=True):
        alone = predictor.backend.forward(predictor.processor([text]))["logits"][0]
        np.testing.assert_allclose(row[: len(alone)], alone, atol=0.05 if dtype == "bfloat16" else 1e-5)
    report = run_invariance(predictor, [text for text in TEXTS if text])
    assert [one.variant for one in report.variants if one.differing] == []


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_workers_and_threads_change_no_bit(exported: tuple[Path, Any], dtype: str) -> None:
    outputs = []
    for threads, share in ((1, 1), (2, 1), (2, 2)):
        backend = OpenVinoBackend.from_pretrained(
            exported[0], task=Processor.from_pretrained(exported[0]).task, dtype=dtype, threads=threads
        )
        backend.use_threads(share)
        outputs.append(backend.forward(Processor.from_pretrained(exported[0])(TEXTS))["logits"])
    assert outputs[0].tobytes() == outputs[1].tobytes()
    np.testing.assert_allclose(outputs[0], outputs[2], atol=1e-5)


def test_the_first_batches_of_several_threads_do_not_wait_for_each_other(exported: tuple[Path, Any]) -> None:
    """Each in a fresh process, since only the first use of OpenVINO's tensors in a process can wait without end."""
    code = f"""
from nlp_inference import Predictor
predictor = Predictor.from_pretrained({str(exported[0])!r}, backend="openvino")
assert predictor.route.workers.count == 4
print(len(predictor.predict(["Ana lives in Rome " * (1 + number % 7) for number in range(400)])))
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "4"}
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment,
            check=False,
            timeout=300,
        )
        assert done.stdout.split() == ["400"], done.stderr


def test_a_backend_can_be_pickled(exported: tuple[Path, Any]) -> None:
    predictor = Predictor.from_pretrained(exported[0], backend="openvino", dtype="int8")
    twin = pickle.loads(pickle.dumps(predictor.backend))  # noqa: S301 - its own
    batch = predictor.processor(TEXTS)
    assert twin.forward(batch)["logits"].tobytes() == predictor.backend.forward(batch)["logits"].tobytes()


def test_a_forked_process_predicts(exported: tuple[Path, Any]) -> None:
    code = f"""
import os, signal
from nlp_inference import Predictor
predictor = Predictor.from_pretrained({str(exported[0])!r}, backend="openvino")
expected = predictor.predict(["Ana lives in Rome"] * 3)
pid = os.fork()
if not pid:
    signal.alarm(60)
    os._exit(predictor.predict(["Ana lives in Rome"] * 3) != expected)
print(os.waitpid(pid, 0)[1])
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    assert done.stdout.split() == ["0"], done.stderr


def test_law_8_predicting_and_verifying_need_no_torch(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    code = f"""
import sys
for absent in ("torch", "datasets", "evaluate", "accelerate", "onnx", "onnxruntime", "nncf", "nlp_training"):
    sys.modules[absent] = None
from nlp_inference import Predictor
predictor = Predictor.from_pretrained({str(copy)!r}, verify=True)
print(predictor.backend.name, len(predictor.predict(["Ana lives in Rome"])))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.split() == ["openvino", "1"], done.stderr


def test_auto_takes_torch_then_onnx_then_openvino(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_backend(copy, backend="auto", dtype=None) == "torch"
    assert choose_backend(copy, backend="auto", dtype="int8") == "openvino"
    (copy / "model.safetensors").unlink()
    assert choose_backend(copy, backend="auto", dtype=None) == "openvino"
    assert choose_dtype(copy, backend="openvino", dtype=None) == "float32"
    (copy / "onnx").mkdir()
    (copy / "onnx" / "model_int8.onnx").touch()
    assert choose_backend(copy, backend="auto", dtype="int8") == "onnx"
    assert choose_backend(copy, backend="auto", dtype="float32") == "openvino"
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert choose_backend(copy, backend="auto", dtype="float32") == "onnx"
    with pytest.raises(MissingExtraError, match=r"nlp-inference\[openvino\]"):
        Predictor.from_pretrained(copy, backend="openvino")


def test_a_lower_score_is_refused_and_leaves_nothing(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained, tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    honest = exporter.evaluate_documents
    monkeypatch.setattr(exporter, "evaluate_documents", lambda one, documents: worse(one, honest(one, documents)))
    [refused] = export_model(tmp_path / "model", backend="openvino", dtypes=["float32"])
    assert "f1 drops by" in refused.reason
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
def test_a_file_that_is_not_the_verified_one_is_refused(copy: Path, suffix: str) -> None:
    path = copy / "openvino" / f"model{suffix}"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ArtefactError, match=rf"'model\{suffix}' .* is not the file that was exported and verified"):
        Predictor.from_pretrained(copy, backend="openvino")


def test_an_export_of_other_weights_is_refused(copy: Path) -> None:
    settings = copy / "processor_config.json"
    content = json.loads(settings.read_text())
    content["fingerprint"]["weights"]["model.safetensors"] = "1" * 64
    settings.write_text(json.dumps(content))
    with pytest.raises(ArtefactError, match=r"'model_int8.xml' .* exported from other weights .*111111111111…"):
        Predictor.from_pretrained(copy, backend="openvino", dtype="int8")


def stranger(model: Any, folder: Path, processor: Processor) -> None:
    """Put another model into a copied artefact, whose processor does not say which files belong to it."""
    openvino.save_model(model, folder / "openvino" / "model.xml", compress_to_fp16=False)
    processor.with_fingerprint(None).save_pretrained(folder)


def test_a_model_that_keeps_state_between_batches_is_refused(copy: Path) -> None:
    ops = openvino.opset13
    ids = ops.parameter([-1, -1], np.int64, name="input_ids")
    ids.output(0).set_names({"input_ids"})
    kept = ops.read_value(ops.convert(ids, "f32"), "kept", openvino.Type.f32, [-1, -1])
    total = ops.add(kept, ops.convert(ids, "f32"))
    total.output(0).set_names({"logits"})
    model = openvino.Model([ops.result(total)], [ops.assign(total, "kept")], [ids], "state")
    stranger(model, copy, Processor.from_pretrained(copy))
    with pytest.raises(ArtefactError, match="contains the operator Assign"):
        Predictor.from_pretrained(copy, backend="openvino")


def test_a_loop_is_refused(copy: Path, token_processor: Processor) -> None:
    ops = openvino.opset13
    ids = ops.parameter([-1, -1], np.int64, name="input_ids")
    ids.output(0).set_names({"input_ids"})
    inner = ops.parameter([-1, -1], np.float32)
    body = openvino.Model([ops.result(ops.add(inner, inner)), ops.result(ops.constant(True))], [inner], "body")
    loop = ops.loop(ops.constant(np.int64(2**60)), ops.constant(True))
    loop.set_function(body)
    loop.set_special_body_ports([-1, 1])
    loop.set_merged_input(inner, ops.convert(ids, "f32").output(0), body.results[0].output(0))
    out = loop.get_iter_value(body.results[0].output(0), -1)
    result = ops.result(out)
    model = openvino.Model([result], [ids], "loop")
    model.outputs[0].tensor.set_names({"logits"})
    stranger(model, copy, Processor.from_pretrained(copy))
    with pytest.raises(ArtefactError, match="contains the operator Loop"):
        Predictor.from_pretrained(copy, backend="openvino")


def iterator_model(ids: Any) -> Any:
    """Return one result of a TensorIterator, which runs its body once per token."""
    ops = openvino.opset13
    inner = ops.parameter([-1, 1], np.float32)
    body = openvino.Model([ops.result(ops.add(inner, inner))], [inner], "body")
    iterator = ops.tensor_iterator()
    iterator.set_body(body)
    iterator.set_sliced_input(inner, ops.convert(ids, "f32").output(0), 0, 1, 1, -1, 1)
    return iterator.get_concatenated_slices(body.results[0].output(0), 0, 1, 1, -1, 1)


def branch_model(ids: Any) -> Any:
    """Return one result of an If, whose branches could contain loops."""
    ops = openvino.opset13
    then, other = (ops.parameter([-1, -1], np.float32) for _ in range(2))
    bodies = [openvino.Model([ops.result(ops.add(one, one))], [one], "body") for one in (then, other)]
    branch = ops.if_op(ops.constant(True))
    branch.set_then_body(bodies[0])
    branch.set_else_body(bodies[1])
    branch.set_input(ops.convert(ids, "f32").output(0), then, other)
    return branch.set_output(bodies[0].results[0], bodies[1].results[0])


@pytest.mark.parametrize(("build", "operator"), [(iterator_model, "TensorIterator"), (branch_model, "If")])
def test_iterators_and_branches_are_refused(copy: Path, build: Any, operator: str) -> None:
    ids = openvino.opset13.parameter([-1, -1], np.int64, name="input_ids")
    ids.output(0).set_names({"input_ids"})
    model = openvino.Model([openvino.opset13.result(build(ids))], [ids], "nested")
    model.outputs[0].tensor.set_names({"logits"})
    stranger(model, copy, Processor.from_pretrained(copy))
    with pytest.raises(ArtefactError, match=f"contains the operator {operator}"):
        Predictor.from_pretrained(copy, backend="openvino")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda xml: xml.replace('type="MatMul"', 'type="TheirOperator"'), "cannot be read: .*TheirOperator"),
        (lambda xml: xml.replace('version="opset1"', 'version="extension"'), "cannot be read"),
        (lambda xml: xml.replace('size="', 'size="9999999', 1).replace('offset="0"', 'offset="99999999999"'), "model"),
        (lambda _: "", "cannot be read"),
        (lambda _: "<net", "cannot be read"),
        (lambda _: '<!DOCTYPE a [<!ENTITY b SYSTEM "/etc/passwd">]><net name="&b;" version="11"></net>', "model"),
    ],
    ids=["operator", "extension", "beyond", "empty", "damaged", "entity"],
)
def test_a_strangers_file_with_other_operators_or_places_is_an_error(copy: Path, change: Any, said: str) -> None:
    path = copy / "openvino" / "model.xml"
    path.write_text(change(path.read_text()))
    Processor.from_pretrained(copy).with_fingerprint(None).save_pretrained(copy)
    with pytest.raises(ArtefactError, match=said):
        Predictor.from_pretrained(copy, backend="openvino")


def test_an_onnx_file_in_the_place_of_the_model_is_refused(
    copy: Path, token_processor: Processor, tmp_path: Path
) -> None:
    graph = export_graph(narrow_model("bert", token_processor.task), token_processor)
    save_graph(graph, copy / "openvino" / "model.xml")
    Processor.from_pretrained(copy).with_fingerprint(None).save_pretrained(copy)
    with pytest.raises(ArtefactError, match="cannot be read"):
        Predictor.from_pretrained(copy, backend="openvino")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dtype": "float16"}, "OpenVINO runs float32, bfloat16, int8, but got the precision 'float16'"),
        ({"device": "cuda"}, "the device is 'cuda'; OpenVINO supports 'cpu' only"),
    ],
)
def test_what_openvino_cannot_do_is_an_error(copy: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidSpecError, match=said):
        Predictor.from_pretrained(copy, backend="openvino", **options)


def test_bfloat16_is_refused_where_the_cpu_has_none(
    copy: Path, monkeypatch: pytest.MonkeyPatch, token_processor: Processor
) -> None:
    shutil.copy(copy / "openvino" / "model.xml", copy / "openvino" / "model_bf16.xml")
    shutil.copy(copy / "openvino" / "model.bin", copy / "openvino" / "model_bf16.bin")
    Processor.from_pretrained(copy).with_fingerprint(None).save_pretrained(copy)
    monkeypatch.setattr(backend_module, "has_bfloat16", lambda: False)
    with pytest.raises(InvalidSpecError, match="this CPU has no bfloat16"):
        Predictor.from_pretrained(copy, backend="openvino", dtype="bfloat16")


def test_scales_of_each_text_are_not_to_be_had(trained: Path) -> None:
    with pytest.raises(InvalidSpecError, match="the int8 mode is 'dynamic', but this backend supports static"):
        list(export_model(trained, backend="openvino", dtypes=["int8"], int8_mode="dynamic"))


def test_the_weights_that_a_file_was_made_of_are_in_its_metadata(exported: tuple[Path, Any]) -> None:
    model = openvino.Core().read_model(exported[0] / "openvino" / "model_int8.xml")
    fingerprint = Processor.from_pretrained(exported[0]).fingerprint
    assert fingerprint is not None
    said = model.get_rt_info(METADATA).value
    assert json.loads(said["weights"]) == fingerprint.weights
    assert (said["dtype"], said["quantization"]) == ("int8", "static")


def test_int8_without_nncf_names_the_extra_before_anything_is_exported(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingExtraError, match=r"nlp-inference\[nncf\]"):
        list(export_model(trained, backend="openvino"))
    assert not (trained / "openvino").exists()
