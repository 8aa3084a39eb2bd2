"""The fingerprint: what decided a model's predictions is saved with it, and what has changed since is told at load."""

import importlib
import importlib.metadata
import json
import shutil
import sys
import unicodedata
import warnings
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from loud_package import Machine
from tiny_models import LABELS, tiny_model
from typer.testing import CliRunner

from nlp_inference import Predictor, Processor, TokenClassification
from nlp_inference._utils.digests import file_digest, module_digest, source_digest
from nlp_inference.architectures.checkpoint_files import find_weight_files
from nlp_inference.cli import app
from nlp_inference.errors import ArtefactError, PublishError
from nlp_inference.processor import fingerprint
from nlp_inference.processor.fingerprint import Fingerprint, FingerprintWarning, TransformPrint
from nlp_inference.transforms import FunctionTransform, StripHtml, Transform, text_transform
from nlp_inference.transforms.post import TrimSpans

SETTINGS = ("config.json", "tokenizer.json", "tokenizer_config.json")
PACKAGES = ("transformers", "tokenizers", "regex", "ftfy", "rapidfuzz", "numpy")


def other_weights(task):
    model = tiny_model(task)
    with torch.no_grad():
        model.classifier.weight += 1
    return model


@pytest.fixture(scope="module")
def processor(tokenizer):
    return Processor(tokenizer, TokenClassification(labels=LABELS), ["strip_html"], ["trim_spans"])


def save(processor, folder, **options):
    tiny_model(processor.task).save_pretrained(folder, **options)
    processor.save_pretrained(folder)
    saved = Fingerprint.of(processor, weights=find_weight_files(folder), runtime="torch", folder=folder)
    processor.with_fingerprint(saved).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def saved(processor, tmp_path_factory):
    """A folder with a model and its fingerprint, as training leaves it; not to be changed."""
    return save(processor, tmp_path_factory.mktemp("saved"))


@pytest.fixture
def artefact(saved, tmp_path):
    """The same, to be changed."""
    return shutil.copytree(saved, tmp_path / "artefact")


def rewrite(folder, **changes):
    """Replace parts of the saved fingerprint, as if other versions had written it."""
    path = folder / "processor_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for name, value in changes.items():
        old = content["fingerprint"][name]
        content["fingerprint"][name] = {**old, **value} if isinstance(old, dict) else value
    path.write_text(json.dumps(content), encoding="utf-8")


def warning_of(function, *arguments):
    """The one warning of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*arguments)
    assert [one.category for one in caught] == [FingerprintWarning]
    return str(caught[0].message)


# --- what is saved ---


def test_a_fingerprint_says_what_decides_the_predictions(processor, saved):
    found = Processor.from_pretrained(saved).fingerprint
    weights = (saved / "model.safetensors").read_bytes()
    assert found.weights == {"model.safetensors": sha256(weights).hexdigest()}
    assert found.settings == {name: sha256((saved / name).read_bytes()).hexdigest() for name in SETTINGS}
    assert set(found.packages) - {"nlp-inference"} == {*PACKAGES, "torch"}
    assert found.packages["numpy"] == np.__version__
    assert found.unicode == unicodedata.unidata_version
    assert found.transforms == {
        "strip_html": TransformPrint(version=StripHtml.version, source=source_digest(StripHtml)),
        "trim_spans": TransformPrint(version=1, source=source_digest(TrimSpans)),
    }
    assert found.task == source_digest(TokenClassification)


def test_a_version_is_recorded_without_its_build(processor):
    torch_version = Fingerprint.of(processor, weights=(), runtime="torch").packages["torch"]
    assert torch_version == torch.__version__.partition("+")[0]


def test_a_runtime_that_is_not_installed_is_not_recorded(processor, monkeypatch):
    monkeypatch.setattr(fingerprint, "_installed", {"numpy": "2.0"}.get)
    assert Fingerprint.of(processor, weights=(), runtime="onnxruntime").packages == {"numpy": "2.0"}


def test_loading_and_saving_again_keeps_the_fingerprint(saved, tmp_path):
    loaded = Processor.from_pretrained(saved)
    loaded.save_pretrained(tmp_path)
    name = "processor_config.json"
    assert (tmp_path / name).read_bytes() == (saved / name).read_bytes()
    assert Fingerprint.model_validate_json(loaded.fingerprint.model_dump_json()) == loaded.fingerprint
    again = Fingerprint.of(loaded, weights=find_weight_files(saved), runtime="torch", folder=saved)
    assert again == loaded.fingerprint
    assert file_digest(tmp_path / "tokenizer.json") == loaded.fingerprint.settings["tokenizer.json"]


def test_a_processor_without_a_fingerprint_saves_none_and_loads_in_silence(saved, processor, tmp_path):
    assert processor.fingerprint is None
    assert "fingerprint" not in processor.to_dict()
    Processor.from_pretrained(saved).with_fingerprint(None).save_pretrained(tmp_path)
    assert "fingerprint" not in json.loads((tmp_path / "processor_config.json").read_text(encoding="utf-8"))
    other_weights(processor.task).save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Predictor.from_pretrained(tmp_path, device="cpu").processor.fingerprint is None


def test_another_fingerprint_leaves_the_processor_as_it_was(saved):
    loaded = Processor.from_pretrained(saved)
    without = loaded.with_fingerprint(None)
    assert loaded.fingerprint is not None
    assert without.to_dict() == {key: value for key, value in loaded.to_dict().items() if key != "fingerprint"}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({}, "unicode: Field required"),
        ([], "fingerprint: Input should be a valid dictionary"),
        ({"unicode": "15.0", "colour": "red"}, "unknown key 'colour'"),
        ({"unicode": "15.0", "weights": {"model.safetensors": 7}}, "weights.model.safetensors: .* string .*7"),
    ],
)
def test_a_fingerprint_that_is_none_is_refused(artefact, bad, said):
    path = artefact / "processor_config.json"
    content = {**json.loads(path.read_text(encoding="utf-8")), "fingerprint": bad}
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ArtefactError, match=said):
        Processor.from_pretrained(artefact)


# --- what has changed since ---


def test_the_same_environment_says_nothing(saved):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Predictor.from_pretrained(saved, device="cpu").predict(["Ana"])


@pytest.mark.parametrize("name", PACKAGES)
def test_another_version_of_a_package_is_named(artefact, name):
    now = importlib.metadata.version(name)
    rewrite(artefact, packages={name: "0.1.2"})
    assert warning_of(Processor.from_pretrained, artefact) == (
        f"changes since '{artefact}' was saved may change its predictions: {name} 0.1.2 -> {now}; "
        f"to check, run: nlp-inference verify {artefact}"
    )


def test_a_package_that_is_not_installed_any_more_is_named(artefact, monkeypatch):
    rewrite(artefact, packages={"ftfy": "6.3.1"})
    installed = fingerprint._installed
    monkeypatch.setattr(fingerprint, "_installed", lambda name: None if name == "ftfy" else installed(name))
    assert "predictions: ftfy 6.3.1 -> none; to check" in warning_of(Processor.from_pretrained, artefact)


@pytest.mark.parametrize("name", ["", "../packages", "a b\0"])
def test_what_is_no_name_of_a_package_is_none_that_is_installed(artefact, name):
    rewrite(artefact, packages={name: "1.0"})
    assert f"{name} 1.0 -> none; to check" in warning_of(Processor.from_pretrained, artefact)


def test_another_unicode_database_is_named(artefact, monkeypatch):
    rewrite(artefact, unicode="14.0.0")
    monkeypatch.setattr(unicodedata, "unidata_version", "17.0.0")
    assert "predictions: Unicode 14.0.0 -> 17.0.0; to check" in warning_of(Processor.from_pretrained, artefact)


@pytest.mark.parametrize("name", SETTINGS)
def test_another_tokenizer_or_configuration_is_named(artefact, name):
    path = artefact / name
    before = file_digest(path)[:12]
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    said = warning_of(Processor.from_pretrained, artefact)
    assert f"predictions: {name} {before}… -> {file_digest(path)[:12]}…; to check" in said


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_which_no_digest_was_recorded_are_passed_over(artefact, name):
    path = artefact / "processor_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["fingerprint"]["settings"][name]
    path.write_text(json.dumps(content), encoding="utf-8")
    (artefact / name).write_text((artefact / name).read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Processor.from_pretrained(artefact)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_file_that_the_fingerprint_names_and_that_is_missing_is_an_error(artefact, name):
    (artefact / name).unlink()
    with pytest.raises(ArtefactError, match=rf"has no {name}"):
        Processor.from_pretrained(artefact)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_missing_file_is_a_difference(artefact, processor, name):
    fingerprint = Processor.from_pretrained(artefact).fingerprint
    digest = file_digest(artefact / name)[:12]
    (artefact / name).unlink()
    assert fingerprint.changes(processor, folder=artefact) == [f"{name} {digest}… -> none"]


@pytest.mark.parametrize("transform", [StripHtml, TrimSpans])
def test_another_version_of_a_transform_is_named(saved, monkeypatch, transform):
    saved_version = transform.version
    monkeypatch.setattr(transform, "version", 7)
    said = warning_of(Processor.from_pretrained, saved)
    assert f"predictions: version of {transform.name} {saved_version} -> 7; to check" in said


@pytest.mark.parametrize("part", [StripHtml, TrimSpans, TokenClassification])
def test_another_source_is_named(artefact, part):
    if part is TokenClassification:
        rewrite(artefact, task="a" * 64)
    else:
        rewrite(artefact, transforms={part.name: {"version": part.version, "source": "a" * 64}})
    line = f"source of {part.name} aaaaaaaaaaaa… -> {source_digest(part)[:12]}…"
    assert f"predictions: {line}; to check" in warning_of(Processor.from_pretrained, artefact)


@pytest.mark.parametrize("part", [StripHtml, TrimSpans, TokenClassification])
def test_a_source_that_cannot_be_read_here_is_named(saved, monkeypatch, part):
    monkeypatch.setattr(fingerprint, "_source_if_any", lambda cls: None if cls is part else source_digest(cls))
    said = warning_of(Processor.from_pretrained, saved)
    assert f"predictions: source of {part.name} cannot be read here; to check" in said


def test_transforms_that_came_or_went_are_named(artefact):
    path = artefact / "processor_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content |= {"preprocess": ["strip_html", "lowercase"], "postprocess": []}
    path.write_text(json.dumps(content), encoding="utf-8")
    said = warning_of(Processor.from_pretrained, artefact)
    assert "predictions: lowercase was added, trim_spans was removed; to check" in said


@pytest.mark.parametrize(
    "replaced", [{"preprocess": []}, {"postprocess": []}, {"preprocess": ["lowercase"], "postprocess": []}]
)
def test_transforms_that_the_caller_replaces_are_not_named(saved, replaced):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Processor.from_pretrained(saved, **replaced)


def test_everything_that_changed_is_named_in_one_line(artefact, monkeypatch):
    rewrite(artefact, packages={"regex": "1.0", "numpy": "1.0", "torch": "1.0"}, unicode="1.0")
    monkeypatch.setattr(StripHtml, "version", 7)
    said = warning_of(Processor.from_pretrained, artefact)
    places = [said.index(name) for name in ("numpy 1.0", "regex 1.0", "Unicode 1.0", "version of strip_html 2 -> 7")]
    assert places == sorted(places)
    assert "\n" not in said
    assert "torch" not in said


def test_another_version_of_the_runtime_is_named_when_the_model_is_loaded(artefact):
    rewrite(artefact, packages={"torch": "1.0"})
    said = warning_of(lambda: Predictor.from_pretrained(artefact, device="cpu"))
    assert f"predictions: torch 1.0 -> {torch.__version__.partition('+')[0]}; to check" in said


@pytest.mark.filterwarnings("always::nlp_inference.processor.fingerprint.FingerprintWarning")
def test_a_command_tells_each_change_on_one_line_and_goes_on(artefact):
    rewrite(artefact, packages={"regex": "1.0", "torch": "1.0"})
    result = CliRunner().invoke(app, ["predict", str(artefact), "-"], input="Ana\n")
    assert result.exit_code == 0, result.output
    told = [line for line in result.stderr.splitlines() if line.startswith("FingerprintWarning: changes since ")]
    assert ["regex" in line for line in told] == [True, False]
    assert ["torch" in line for line in told] == [False, True]
    assert all(line.endswith(f"to check, run: nlp-inference verify {artefact}") for line in told)
    assert "warnings.warn" not in result.stderr


def test_a_transform_that_is_not_in_use_any_more_is_passed_over(artefact):
    rewrite(artefact, transforms={"trim_spans": {"version": 7}, "gone": {"version": 1}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Processor.from_pretrained(artefact, postprocess=[])


def test_one_name_before_and_after_the_model_is_told_apart(processor):
    class Shared(Transform):
        name = "trim_spans"

        def propose(self, text):
            return text

    del Transform.members["trim_spans"]
    both = Processor(processor.tokenizer, processor.task, [Shared()], ["trim_spans"])
    found = Fingerprint.of(both, weights=(), runtime="torch").transforms
    assert set(found) == {"trim_spans", "post-transform trim_spans"}
    assert found["post-transform trim_spans"].source == source_digest(TrimSpans)


# --- weights ---


def test_weights_of_another_model_are_refused(artefact, processor):
    old = file_digest(artefact / "model.safetensors")
    other_weights(processor.task).save_pretrained(artefact)
    new = file_digest(artefact / "model.safetensors")
    with pytest.raises(ArtefactError) as refusal:
        Predictor.from_pretrained(artefact, device="cpu")
    assert str(refusal.value) == (
        f"the processor of '{artefact}' was saved with other weights: 'model.safetensors' has sha256 {new[:12]}…, but "
        f"its processor_config.json has sha256 {old[:12]}…. Load a processor and weights that were saved "
        "together; if these do belong together, save the processor again: "
        "processor.with_fingerprint(None).save_pretrained(folder)"
    )


def test_the_mend_that_the_refusal_names_helps(artefact, processor):
    other_weights(processor.task).save_pretrained(artefact)
    Processor.from_pretrained(artefact).with_fingerprint(None).save_pretrained(artefact)
    Predictor.from_pretrained(artefact, device="cpu")


@pytest.mark.filterwarnings("ignore:.*config.json:nlp_inference.processor.fingerprint.FingerprintWarning")
def test_weights_that_do_not_even_fit_are_refused_by_their_digest(artefact, tokenizer):
    tiny_model(TokenClassification(labels=("A", "B", "C"))).save_pretrained(artefact)
    with pytest.raises(ArtefactError, match="saved with other weights"):
        Predictor.from_pretrained(artefact, device="cpu")


def test_every_shard_is_checked(processor, tmp_path):
    folder = save(processor, tmp_path / "sharded", max_shard_size="20KB")
    shards = sorted(path.name for path in folder.glob("model-*.safetensors"))
    assert len(shards) > 2
    assert sorted(Processor.from_pretrained(folder).fingerprint.weights) == shards
    Predictor.from_pretrained(folder, device="cpu")
    other = tmp_path / "other"
    other_weights(processor.task).save_pretrained(other, max_shard_size="20KB")
    (changed,) = [name for name in shards if (other / name).read_bytes() != (folder / name).read_bytes()]
    shutil.copy(other / changed, folder / changed)
    with pytest.raises(ArtefactError, match=f"'{changed}' has sha256"):
        Predictor.from_pretrained(folder, device="cpu")


def test_a_file_of_weights_that_the_fingerprint_does_not_name_is_refused(processor, artefact):
    (artefact / "model.safetensors").unlink()
    tiny_model(processor.task).save_pretrained(artefact, max_shard_size="20KB")
    with pytest.raises(ArtefactError, match=r"model-00001-of-.* has only model\.safetensors"):
        Predictor.from_pretrained(artefact, device="cpu")


def test_weights_in_the_cache_of_the_hub_are_read_whatever_their_blob_is_called(artefact, processor):
    weights = artefact / "model.safetensors"
    blob = artefact / "blobs" / file_digest(weights)
    blob.parent.mkdir()
    weights.rename(blob)
    weights.symlink_to(blob)
    Predictor.from_pretrained(artefact, device="cpu")
    other_weights(processor.task).save_pretrained(artefact / "other")
    shutil.copy(artefact / "other" / "model.safetensors", blob)
    with pytest.raises(ArtefactError, match=f"was saved with other weights: .* has sha256 {blob.name[:12]}…"):
        Predictor.from_pretrained(artefact, device="cpu")


# --- publishing ---


def test_a_processor_of_a_finished_model_is_not_pushed_alone(saved, tmp_path):
    loaded = Processor.from_pretrained(saved)
    refusal = r"belongs to a finished model, .* publish the model with: nlp-training publish RUN org/model"
    with pytest.raises(PublishError, match=refusal):
        loaded.push_to_hub("org/model")
    with pytest.raises(PublishError, match=refusal):
        loaded.save_pretrained(tmp_path / "pushed", push_to_hub=True, repo_id="org/model")
    assert not (tmp_path / "pushed").exists()


# --- packages of users ---

LOUD = {"task": {"token-classification": {"labels": ["CITY"]}}, "preprocess": ["shout"]}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch)
    yield machine
    machine.forget()


def test_the_package_that_declares_a_transform_of_a_user_is_recorded_and_compared(machine, tokenizer):
    machine.install()
    loud = Processor(tokenizer, **LOUD)
    found = Fingerprint.of(loud, weights=(), runtime="torch")
    assert found.packages["loud-texts"] == "1.2"
    (machine.site / "loud_texts-1.2.dist-info").rename(machine.site / "loud_texts-1.3.dist-info")
    metadata = machine.site / "loud_texts-1.3.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text(encoding="utf-8").replace("1.2", "1.3"), encoding="utf-8")
    importlib.invalidate_caches()
    assert found.changes(loud) == ["loud-texts 1.2 -> 1.3"]


def test_a_package_that_declares_nothing_is_found_by_its_module(machine, tokenizer):
    machine.install(entry_points="")
    (machine.site / "loud_texts-1.2.dist-info" / "top_level.txt").write_text("loud_texts\n", encoding="utf-8")
    importlib.import_module("loud_texts.changes")
    assert Fingerprint.of(Processor(tokenizer, **LOUD), weights=(), runtime="torch").packages["loud-texts"] == "1.2"


def test_code_that_came_with_a_model_is_of_no_package(machine, tokenizer, tmp_path):
    machine.install()
    loud = Processor(tokenizer, **LOUD)
    loud.preprocess.steps[0].register_for_auto_class()
    loud.save_pretrained(tmp_path / "model")
    trusted = Processor.from_pretrained(tmp_path / "model", trust_remote_code=True)
    assert "loud-texts" not in Fingerprint.of(trusted, weights=(), runtime="torch").packages


# --- sources ---

SOURCE = """
MARK = "#"


class Hash:
    name = "hash"

    def propose(self, text):
        return text + MARK
"""

SAME = {
    "a comment": SOURCE.replace("MARK = ", "# what is added\nMARK = "),
    "a docstring of the module": f'"""A hash."""\n{SOURCE}',
    "a docstring of the class": SOURCE.replace("    name", '    """Adds a hash."""\n\n    name'),
    "a docstring of the method": SOURCE.replace("        return", '        """Adds it."""\n        return'),
    "formatting": SOURCE.replace('"#"', "('#')").replace(
        "text + MARK", "(\n            text\n            +   MARK\n        )"
    ),
    "empty lines": SOURCE.replace("\n\n", "\n"),
}
OTHER = {
    "a constant of the module": SOURCE.replace("#", "##"),
    "a field": SOURCE.replace('"hash"', '"sharp"'),
    "the method": SOURCE.replace("text + MARK", "MARK + text"),
    "an import": f"import html\n{SOURCE}",
}


@pytest.fixture
def import_source(tmp_path, monkeypatch):
    """A module with the given source."""
    monkeypatch.syspath_prepend(tmp_path)

    def load(source):
        name = f"module_of_fingerprint_tests_{len(list(tmp_path.glob('*.py')))}"
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load


@pytest.mark.parametrize("source", SAME.values(), ids=SAME)
def test_what_changes_nothing_keeps_the_digest(import_source, source):
    assert source != SOURCE
    assert source_digest(import_source(source).Hash) == source_digest(import_source(SOURCE).Hash)


@pytest.mark.parametrize("source", OTHER.values(), ids=OTHER)
def test_what_may_change_a_text_changes_the_digest(import_source, source):
    assert source_digest(import_source(source).Hash) != source_digest(import_source(SOURCE).Hash)


def test_base_classes_in_other_modules_count(import_source):
    digests = set()
    for source in (SOURCE, OTHER["the method"]):
        base = import_source(source).__name__
        digests.add(
            source_digest(import_source("import BASE\nclass Twice(BASE.Hash): ...".replace("BASE", base)).Twice)
        )
    assert len(digests) == 2


def test_the_library_s_own_base_classes_do_not_count():
    module = importlib.import_module(StripHtml.__module__)
    assert source_digest(StripHtml) == module_digest(Path(module.__file__).read_text(encoding="utf-8"))


def test_a_function_counts_with_its_module():
    @text_transform(name="of_the_fingerprint_tests")
    def shout(text: str) -> str:
        return text.upper()

    del Transform.members["of_the_fingerprint_tests"]
    own = module_digest(Path(__file__).read_text(encoding="utf-8"))
    wrapper = source_digest(FunctionTransform)
    assert source_digest(type(shout)) == sha256((own + wrapper).encode()).hexdigest()


def typed_at_a_prompt(source):
    namespace = {"__name__": "__prompt__", "Transform": Transform}
    exec(source, namespace)  # noqa: S102 - as a prompt does
    return namespace["Typed"]


def test_a_class_that_was_typed_at_a_prompt_has_no_digest():
    with pytest.raises(ArtefactError, match=r"source of __prompt__\.Typed cannot be read .*; define it in a file"):
        source_digest(typed_at_a_prompt("class Typed: ..."))


def test_a_transform_without_source_is_known_by_its_version(processor):
    typed = typed_at_a_prompt("class Typed(Transform):\n    name = 'typed'\n    def propose(self, text): return text")
    del Transform.members["typed"]
    with_typed = Processor(processor.tokenizer, processor.task, [typed()])
    found = Fingerprint.of(with_typed, weights=(), runtime="torch")
    assert found.transforms == {"typed": TransformPrint(version=1, source=None)}
    assert found.changes(with_typed) == []
    typed.version = 2
    assert found.changes(with_typed) == ["version of typed 1 -> 2"]
