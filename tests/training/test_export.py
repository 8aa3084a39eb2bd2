"""Export to ONNX: every architecture, any shape, the same predictions; what is worse or of other weights is refused."""

import json
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from made_up_records import span_records, write_splits
from transformers import AutoConfig
from typer.testing import CliRunner

from nlp_inference import Predictor, Processor
from nlp_inference.backends.onnx import OnnxBackend
from nlp_inference.backends.torch import model_class
from nlp_inference.cli import app as inference
from nlp_inference.errors import ArtefactError, InvalidSpecError
from nlp_inference.golden import read_golden
from nlp_inference.golden.invariance import run_invariance
from nlp_training.cli import app as training
from nlp_training.export import exporter
from nlp_training.export import graph as export_graphs
from nlp_training.export.fixed_scales import with_fixed_scales
from nlp_training.export.graph import OPSET, describe, export_graph, save_graph
from nlp_training.export.precision import to_int8_dynamic
from nlp_training.export.score import score_drop
from nlp_training.runs.run import train

ROOT = Path(exporter.__file__).parents[2]

NARROW = {
    "vocab_size": 30522,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
}
ARCHITECTURES = {
    "bert": NARROW,
    "roberta": {**NARROW, "max_position_embeddings": 514},
    "electra": {**NARROW, "embedding_size": 16},
    "distilbert": {"vocab_size": 30522, "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32, "pad_token_id": 0},
    "deberta-v2": {
        **NARROW,
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 8,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "type_vocab_size": 0,
    },
    "modernbert": {
        **NARROW,
        "num_hidden_layers": 2,
        "local_attention": 8,
        "global_attn_every_n_layers": 2,
        "reference_compile": False,
    },
}
TEXTS = ["Ana lives in Rome", "Bo", "", "Of all who came to Oslo on that day only Ana and Bo stayed there until May"]


def narrow_model(architecture, task):
    config = AutoConfig.for_model(architecture, **ARCHITECTURES[architecture], **task.model_settings())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return model_class(task).from_config(config).eval()


QUICK = ("bert", "modernbert")
"""Exported in every run of the tests: the most used, and the one with attention of its own. The others are slow."""


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [
        *(pytest.param(one, "token", marks=() if one in QUICK else pytest.mark.slow) for one in sorted(ARCHITECTURES)),
        *(("bert", kind) for kind in ("crf", "span")),
        *(pytest.param("modernbert", kind, marks=pytest.mark.slow) for kind in ("crf", "span")),
        ("bert", "text"),
    ],
)
def test_every_architecture_has_the_same_outputs_for_any_rows_and_tokens(architecture, kind, request, tmp_path):
    processor = request.getfixturevalue(f"{kind}_processor")
    model = narrow_model(architecture, processor.task)
    graph = export_graph(model, processor)
    describe(graph, weights={"model.safetensors": "0" * 64}, dtype="float32")
    path = save_graph(graph, tmp_path / "model.onnx")
    backends = [OnnxBackend.from_file(path, task=processor.task, dtype="float32", device="cpu", threads=1)]
    if find_spec("openvino") is not None:
        backends.append(converted_for_openvino(path, processor.task))
    for texts in (TEXTS, TEXTS[:1], TEXTS[2:3]):
        batch = processor(texts)
        with torch.inference_mode():
            expected = model(**{name: torch.from_numpy(array) for name, array in batch.items()})
        read = batch["attention_mask"].astype(bool) if kind in ("token", "crf") else ...
        for outputs in (backend.forward(batch) for backend in backends):
            np.testing.assert_allclose(outputs["logits"][read], expected.logits.numpy()[read], atol=1e-5)
            for name in processor.task.outputs[1:]:
                np.testing.assert_allclose(outputs[name], expected[name].numpy(), atol=1e-6)


def converted_for_openvino(path, task):
    import openvino

    from nlp_inference.backends.openvino import OpenVinoBackend

    target = path.with_suffix(".xml")
    openvino.save_model(openvino.Core().read_model(path), target, compress_to_fp16=False)
    return OpenVinoBackend.from_file(target, task=task, dtype="float32", threads=1)


def test_attention_is_one_operator_around_which_nothing_is_transposed(token_processor):
    model = narrow_model("bert", token_processor.task)
    operators = [node.op_type for node in export_graph(model, token_processor).graph.node]
    assert operators.count("Attention") == model.config.num_hidden_layers
    assert "Transpose" not in operators
    assert model.config._attn_implementation == "sdpa"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tmp_path_factory.mktemp("made")


@pytest.fixture(scope="module")
def trained(tiny_base, made):
    """A trained run, never to be changed."""
    from nlp_training.config import RunConfig

    run = RunConfig.model_validate(
        {
            "name": "spans",
            "output_dir": str(made / "runs"),
            "cpu_threads": 1,
            "model": {"base": str(tiny_base)},
            "data": write_splits(made, span_records),
            "processor": {"preprocess": ["strip_html"], "task": "token-classification"},
            "training": {"num_train_epochs": 4, "learning_rate": 0.02, "per_device_train_batch_size": 8, "bf16": False},
        }
    )
    return train(run).model


@pytest.fixture(scope="module")
def exported(trained, made):
    """The run with all exports beside it, never to be changed."""
    folder = made / "exported"
    shutil.copytree(trained, folder)
    result = CliRunner().invoke(training, ["export", str(folder), "--json"])
    assert result.exit_code == 0, result.output
    return folder, json.loads(result.stdout)


def test_export_writes_every_precision_with_golden_records_and_says_what_each_scores(exported):
    folder, said = exported
    assert [(one["dtype"], one["kept"], one["score"], one["documents"]) for one in said] == [
        ("float32", True, "f1", 12),
        ("float16", True, "f1", 12),
        ("int8", True, "f1", 12),
    ]
    assert sorted(path.name for path in (folder / "onnx").iterdir()) == [
        "model.golden.json",
        "model.onnx",
        "model_fp16.golden.json",
        "model_fp16.onnx",
        "model_int8.golden.json",
        "model_int8.onnx",
    ]
    assert said[2]["size"] < said[1]["size"] < said[0]["size"]


def test_an_exported_file_says_its_opset_its_axes_and_the_weights_that_it_was_made_of(exported):
    folder, _ = exported
    graph = onnx.load(folder / "onnx" / "model.onnx")
    said = {one.key: one.value for one in graph.metadata_props}
    fingerprint = Processor.from_pretrained(folder).fingerprint
    assert (said["opset"], said["dtype"], said["quantization"]) == (str(OPSET), "float32", "")
    assert json.loads(said["weights"]) == fingerprint.weights
    shapes = [[axis.dim_param for axis in one.type.tensor_type.shape.dim] for one in graph.graph.input]
    assert shapes == [["rows", "tokens"]] * len(shapes)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_verify_and_predict_run_each_export(exported, dtype, tmp_path):
    folder, _ = exported
    result = CliRunner().invoke(inference, ["verify", str(folder), "--backend", "onnx", "--dtype", dtype])
    assert result.exit_code == 0, result.output
    predictor = Predictor.from_pretrained(folder, backend="onnx", dtype=dtype, verify=True)
    assert (predictor.backend.name, predictor.backend.dtype) == ("onnx", dtype)
    assert read_golden(folder, name="onnx/model_int8.golden.json").dtype == "int8"


def test_a_folder_that_holds_only_the_int8_export_is_loaded_without_dtype(exported, tmp_path):
    folder = shutil.copytree(exported[0], tmp_path / "model")
    for path in (folder / "model.safetensors", folder / "onnx" / "model.onnx", folder / "onnx" / "model_fp16.onnx"):
        path.unlink()
    with Predictor.from_pretrained(folder) as predictor:
        assert (predictor.backend.name, predictor.backend.dtype) == ("onnx", "int8")
    assert CliRunner().invoke(inference, ["verify", str(folder)]).exit_code == 0


def test_in_dynamic_int8_no_row_sees_its_neighbours_or_its_padding(exported):
    folder, _ = exported
    backend = Predictor.from_pretrained(folder, dtype="int8").backend
    processor = Processor.from_pretrained(folder)
    together = backend.forward(processor(TEXTS))["logits"]
    for text, row in zip(TEXTS, together, strict=True):
        alone = backend.forward(processor([text]))["logits"][0]
        assert row[: len(alone)].tobytes() == alone.tobytes()
        assert not row[len(alone) :].any()
    assert run_invariance(Predictor(processor, backend), TEXTS[:3]).all_same


def test_a_prediction_with_onnx_is_that_with_torch(exported):
    folder, _ = exported
    texts = [text for text in TEXTS if text]
    both = [Predictor.from_pretrained(folder, backend=name).predict(texts) for name in ("torch", "onnx")]
    found = [[[(s.start, s.end, s.label) for s in d.predicted.spans] for d in one] for one in both]
    assert found[0] == found[1]


def test_a_predictor_with_onnx_can_be_pickled(exported):
    predictor = Predictor.from_pretrained(exported[0], dtype="int8")
    twin = pickle.loads(pickle.dumps(predictor.backend))  # noqa: S301 - its own
    batch = predictor.processor(TEXTS)
    assert twin.forward(batch)["logits"].tobytes() == predictor.backend.forward(batch)["logits"].tobytes()


def test_law_8_predicting_and_verifying_with_onnx_need_no_torch(exported):
    code = f"""
import sys
for absent in ("torch", "datasets", "evaluate", "accelerate", "onnx", "nlp_training"):
    sys.modules[absent] = None
from nlp_inference import Predictor
predictor = Predictor.from_pretrained({str(exported[0])!r}, verify=True)
print(predictor.backend.name, len(predictor.predict(["Ana lives in Rome"])))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.split() == ["onnx", "1"], done.stderr


def test_static_int8_is_calibrated_on_the_training_documents(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "model")
    [made] = exporter.export_model(tmp_path / "model", dtypes=["int8"], int8_mode="static", max_drop=100)
    backend = Predictor.from_pretrained(tmp_path / "model", dtype="int8").backend
    assert (made.dtype, backend.metadata["quantization"], backend.rows_apart) == ("int8", "static", False)
    operators = Counter(node.op_type for node in onnx.load(tmp_path / "model" / "onnx" / "model_int8.onnx").graph.node)
    assert operators["MatMulIntegerToFloat"] == 7  # of one layer: q, k, v, the output, two of the MLP; and the tags
    assert not {"DynamicQuantizeLinear", "MatMulInteger"} & set(operators)


def test_fixed_scales_are_those_of_the_least_and_the_greatest_value(token_processor, tmp_path):
    plain = save_graph(export_graph(narrow_model("bert", token_processor.task), token_processor), tmp_path / "m.onnx")
    dynamic = to_int8_dynamic(plain, tmp_path / "int8.onnx")
    batches = [dict(token_processor([text])) for text in TEXTS]
    fixed = with_fixed_scales(dynamic, batches)
    outputs = {}
    for name, graph in {"float32": onnx.load(plain), "dynamic": dynamic, "fixed": fixed}.items():
        session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
        read = [one.name for one in session.get_inputs()]
        outputs[name] = [session.run(["logits"], {key: batch[key] for key in read})[0] for batch in batches]
    errors = {
        name: max(float(abs(one - other).max()) for one, other in zip(outputs["float32"], outputs[name], strict=True))
        for name in ("dynamic", "fixed")
    }
    assert 0 < errors["fixed"] < 3 * errors["dynamic"] < 0.1


def test_a_lower_score_is_refused_and_leaves_nothing(trained, tmp_path, monkeypatch):
    shutil.copytree(trained, tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    honest = exporter.evaluate_documents
    monkeypatch.setattr(exporter, "evaluate_documents", lambda one, documents: worse(one, honest(one, documents)))
    result = CliRunner().invoke(training, ["export", str(tmp_path / "model"), "--dtype", "int8"])
    assert result.exit_code == 1
    assert "int8 refused: f1 drops by" in " ".join(result.stdout.split())
    assert "PERSON" in result.stdout
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def worse(predictor, scores):
    """Scores of an exported model a point lower."""
    if predictor.backend.name == "torch":
        return scores
    labels = {name: {**one, "f1": one["f1"] - 0.01} for name, one in scores["per_label"].items()}
    return {**scores, "f1": scores["f1"] - 0.01, "per_label": labels}


def test_a_graph_that_answers_otherwise_is_refused_by_the_golden_records(trained, tmp_path, monkeypatch):
    shutil.copytree(trained, tmp_path / "model")
    honest = export_graphs.export_graph

    def skewed(model, processor):
        with torch.no_grad():
            model.classifier.bias[0] += 1.0
        return honest(model, processor)

    monkeypatch.setattr(export_graphs, "export_graph", skewed)
    [refused] = exporter.export_model(tmp_path / "model", dtypes=["float32"])
    assert "it does not match the golden records of the weights" in refused.reason
    assert "differs in 'logits'" in refused.reason
    assert not (tmp_path / "model" / "onnx").exists()


@pytest.fixture
def copy(exported, tmp_path):
    shutil.copytree(exported[0], tmp_path / "copy")
    return tmp_path / "copy"


def test_an_export_of_other_weights_is_refused(copy):
    settings = copy / "processor_config.json"
    content = json.loads(settings.read_text())
    content["fingerprint"]["weights"]["model.safetensors"] = "1" * 64
    settings.write_text(json.dumps(content))
    with pytest.raises(ArtefactError, match=r"'model_int8.onnx' .* exported from other weights .*111111111111…"):
        Predictor.from_pretrained(copy, dtype="int8")


def test_an_exported_file_that_is_not_the_verified_one_is_refused(copy):
    path = copy / "onnx" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtefactError, match=r"'model.onnx' .* is not the file that was exported and verified"):
        Predictor.from_pretrained(copy, backend="onnx")


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_a_model_of_other_labels_is_refused_by_every_backend(copy, backend):
    """Also where no fingerprint says which weights and exports the processor was saved with."""
    Processor.from_pretrained(copy).with_fingerprint(None).save_pretrained(copy)
    Predictor.from_pretrained(copy, backend=backend)
    config = json.loads((copy / "config.json").read_text())
    config["id2label"]["1"], config["id2label"]["2"] = config["id2label"]["2"], config["id2label"]["1"]
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtefactError, match="they were not saved together"):
        Predictor.from_pretrained(copy, backend=backend)


def test_an_exported_model_without_the_configuration_beside_it_is_not_complete(copy):
    (copy / "config.json").unlink()
    (copy / "model.safetensors").unlink()
    with pytest.raises(ArtefactError, match=r"config\.json"):
        Predictor.from_pretrained(copy)


def test_an_export_leaves_the_settings_as_saving_the_processor_writes_them(exported, tmp_path):
    Processor.from_pretrained(exported[0]).save_pretrained(tmp_path)
    name = "processor_config.json"
    assert (exported[0] / name).read_bytes() == (tmp_path / name).read_bytes()


def test_auto_takes_what_the_artefact_holds(copy):
    assert Predictor.from_pretrained(copy).backend.name == "torch"
    (copy / "model.safetensors").unlink()
    assert Predictor.from_pretrained(copy).backend.name == "onnx"
    (copy / "onnx" / "model.onnx").unlink()
    assert Predictor.from_pretrained(copy).backend.dtype == "float16"
    with pytest.raises(ArtefactError, match=r"has no onnx/model.onnx; it has onnx/model_fp16.onnx.*dtype='float16'"):
        Predictor.from_pretrained(copy, dtype="float32")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backend": "tensorflow"}, "the backend is 'tensorflow'; write 'auto', 'onnx'.* or 'torch'"),
        ({"backend": "onnx", "dtype": "bfloat16"}, "but got the precision 'bfloat16'"),
        ({"backend": "onnx", "device": "tpu"}, "the device is 'tpu'"),
        ({"backend": "onnx", "device": "cuda:0"}, "install onnxruntime-gpu instead of onnxruntime"),
    ],
)
def test_what_onnx_runtime_cannot_do_is_said(exported, options, said):
    with pytest.raises(InvalidSpecError, match=said):
        Predictor.from_pretrained(exported[0], **options)


def test_a_label_that_is_not_found_any_more_lost_all_its_points():
    before = {"f1": 0.9, "per_label": {"CITY": {"f1": 0.8, "support": 3}}, "coverage": {"documents": 2}}
    after = {"f1": 0.5, "per_label": {}, "coverage": {"documents": 2}}
    drop = score_drop(before, after, needs="spans")
    assert [(one.label, one.points) for one in drop.worst()] == [("CITY", 80.0)]
