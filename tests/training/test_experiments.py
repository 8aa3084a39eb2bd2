"""What stands in a file of the user's is used by its name, travels with the model, and moves into a package."""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nlp_inference import PostTransform, Predictor, Processor, Task, Transform
from nlp_inference.architectures import custom_architectures
from nlp_inference.architectures.model_code import class_digest
from nlp_inference.errors import ArtefactError, InvalidSpecError, UnknownTypeError
from nlp_inference.processor.fingerprint import FingerprintWarning
from nlp_inference.testing import check_transform
from nlp_training import RunConfig, load_config, train
from nlp_training.augment import Augmentation
from nlp_training.config.user_modules import import_modules, locate_files
from nlp_training.export import Exported, export_model
from nlp_training.gold import document_metric
from nlp_training.losses import Loss
from nlp_training.metrics import Metric
from nlp_training.release.plan import plan_release
from nlp_training.testing import check_augmentation, check_loss, check_metric

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = ("my_texts.py", "my_model.py", "my_training.py")
OWN = {
    "model": {"architecture": "GatedTagger"},
    "processor": {"task": "token-classification", "preprocess": ["drop_citations"]},
    "loss": {"tempered": 1.5},
    "augment": [{"add_citations": 0.5}],
    "metrics": ["whole_documents"],
}
PREDICT = """
import sys
from nlp_inference import Predictor
trusted = sys.argv[2] == "trusted"
(document,) = Predictor.from_pretrained(sys.argv[1], trust_remote_code=trusted).predict(["Ana [12] lives in Rome"])
print(document.text, document.predicted.model_dump_json())
"""


FORGOTTEN = {"user_modules", "my_package", "transformers_modules"}


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in FORGOTTEN]:
        del sys.modules[name]


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "hf_modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    kinds = (Transform, PostTransform, Task, Loss, Augmentation, Metric)
    kept = [dict(kind.members) for kind in kinds]
    models = dict(custom_architectures._MEMBERS)
    custom_architectures._MEMBERS.pop("GatedTagger", None)
    for kind in kinds:
        for name in [name for name, one in kind.members.items() if one.__module__.startswith("user_modules")]:
            del kind.members[name]
    forget()
    yield
    forget()
    custom_architectures._MEMBERS.clear()
    custom_architectures._MEMBERS.update(models)
    for kind, members in zip(kinds, kept, strict=True):
        kind.members.clear()
        kind.members.update(members)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        shutil.copy(CONFIGS / name, tmp_path / name)
    return tmp_path


def run(config: RunConfig, modules: list[str], **settings: Any) -> RunConfig:
    content = {**config.model_dump(exclude_none=True), **OWN, "modules": modules, **settings}
    content["model"] = {**config.model.model_dump(exclude_none=True), **OWN["model"]}
    content["training"] = {
        **config.training,
        "num_train_epochs": 2,
        "report_to": "none",
        "metric_for_best_model": "whole_documents",
    }
    return RunConfig.model_validate(content)


def in_a_new_process(model: Path, how: str, cache: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PREDICT, str(model), how]
    environment = {"PYTHONPATH": str(CONFIGS.parent), "HF_MODULES_CACHE": str(cache), "PATH": "", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def trained(folder: Path, span_run: RunConfig) -> tuple[RunConfig, Any]:
    config = run(span_run, [str(folder / name) for name in FILES])
    return config, train(config, console=Console(file=io.StringIO()))


def test_files_are_used_by_name_and_what_production_needs_travels(trained: Any, tmp_path: Path) -> None:
    _, result = trained
    log = json.loads((result.model / "training_log.json").read_text())
    assert 0 <= result.metrics["test"]["whole_documents"] <= 1
    assert [one["eval_whole_documents"] for one in log if "eval_whole_documents" in one]
    settings = json.loads((result.model / "config.json").read_text())
    assert settings["architectures"] == ["GatedTagger"]
    assert settings["auto_map"] == {"AutoModelForTokenClassification": "my_model.GatedTagger"}
    assert {path.name for path in result.model.glob("*.py")} == {"my_texts.py", "my_model.py"}
    saved = json.loads((result.model / "processor_config.json").read_text())
    assert "add_citations" not in json.dumps(saved)
    assert saved["custom"][0]["module"] == "user_modules.my_texts"

    trusted = in_a_new_process(result.model, "trusted", tmp_path / "cache")
    assert trusted.returncode == 0, trusted.stderr
    (document,) = Predictor.from_pretrained(result.model).predict(["Ana [12] lives in Rome"])
    assert trusted.stdout.strip() == f"{document.text} {document.predicted.model_dump_json()}"
    refused = in_a_new_process(result.model, "not trusted", tmp_path / "cache")
    assert refused.returncode != 0
    assert "unknown transform 'drop_citations'" in refused.stderr

    plan = plan_release(result.model, "org/experiment", trust_remote_code=True)
    assert plan.release.code == {"my_texts.py", "my_model.py"}
    custom_architectures._MEMBERS.clear()
    with pytest.raises(ArtefactError, match="is a GatedTagger, which is not a class of transformers; install"):
        Predictor.from_pretrained(result.model)


@pytest.mark.slow
def test_moved_into_a_package_nothing_else_changes(
    trained: Any, folder: Path, span_run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, result = trained
    before = (result.model / "model.safetensors").read_bytes()
    site = folder / "site-packages"
    (site / "my_package").mkdir(parents=True)
    (site / "my_package" / "__init__.py").write_text("")
    for name in FILES:
        (folder / name).rename(site / "my_package" / name)
    monkeypatch.syspath_prepend(str(site))
    for kind in (Transform, Loss, Augmentation, Metric):
        for name in [name for name, one in kind.members.items() if one.__module__.startswith("user_modules")]:
            del kind.members[name]
    custom_architectures._MEMBERS.pop("GatedTagger")
    forget()
    with pytest.raises(UnknownTypeError, match="unknown transform 'drop_citations'"):
        train(run(span_run, []), console=Console(file=io.StringIO()), overwrite=True)
    dist = site / "my_package-1.0.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (dist / "entry_points.txt").write_text(
        "[nlp_inference.transforms]\ndrop_citations = my_package.my_texts:DropCitations\n"
        "[nlp_inference.architectures]\nGatedTagger = my_package.my_model:GatedTagger\n"
        "[nlp_training.losses]\ntempered = my_package.my_training:Tempered\n"
        "[nlp_training.augmentations]\nadd_citations = my_package.my_training:AddCitations\n"
        "[nlp_training.metrics]\nwhole_documents = my_package.my_training:WholeDocuments\n"
    )
    sys.path_importer_cache.clear()
    model = train(run(span_run, []), console=Console(file=io.StringIO()), overwrite=True).model
    assert (model / "model.safetensors").read_bytes() == before
    assert list(model.glob("*.py")) == []
    assert json.loads((model / "processor_config.json").read_text())["custom"][0]["package"] == "my-package 1.0"
    Predictor.from_pretrained(model)


def test_the_code_of_a_model_class_is_that_which_was_saved_with_the_model(trained: Any, folder: Path) -> None:
    _, result = trained
    text = (folder / "my_model.py").read_text()
    other = text.replace("torch.sigmoid", "torch.tanh")
    assert Processor.from_pretrained(result.model).fingerprint.architecture == class_digest(
        custom_architectures._MEMBERS["GatedTagger"]
    )
    (result.model / "my_model.py").write_text(f"# read and found harmless\n{text}")
    Predictor.from_pretrained(result.model, trust_remote_code=True)
    (result.model / "my_model.py").write_text(other)
    with pytest.raises(
        ArtefactError, match=r"code of the model class of .* \('my_model\.py'\) is not the code that was saved with it"
    ):
        Predictor.from_pretrained(result.model, trust_remote_code=True)
    (folder / "my_model.py").write_text(other)
    import_modules([str(folder / "my_model.py")])
    with pytest.warns(
        FingerprintWarning, match=r"source of GatedTagger [0-9a-f]{12}… -> [0-9a-f]{12}…; to check, run: nlp-inf"
    ):
        Predictor.from_pretrained(result.model)


@pytest.mark.parametrize("trusted", [True, False])
def test_a_model_class_of_ones_own_is_exported(trained: Any, trusted: bool) -> None:
    _, result = trained
    [exported] = export_model(result.model, dtypes=("float32",), max_drop=100, trust_remote_code=trusted)
    assert isinstance(exported, Exported)
    [document] = Predictor.from_pretrained(result.model, backend="onnx").predict(["Ana [12] lives in Rome"])
    assert document.text == "Ana  lives in Rome"


def test_what_the_files_define_keeps_its_laws(folder: Path) -> None:
    import_modules([str(folder / name) for name in FILES])
    check_transform(Transform.from_spec("drop_citations"), examples={"Ana [12] sang": "Ana  sang"})
    check_loss(Loss.from_spec("tempered"))
    check_augmentation(Augmentation.from_spec("add_citations"))
    check_metric(Metric.from_spec("whole_documents"))


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


IDEA = (
    "from nlp_inference.transforms import text_transform\n@text_transform(name='idea')\n"
    "def idea(text):\n    return {}\n"
)


def test_a_file_is_imported_once_and_again_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "idea.py"
    import_modules(
        [
            write(
                path,
                "import builtins\nbuiltins.counted = getattr(builtins, 'counted', 0) + 1\n"
                + IDEA.format("text.upper()"),
            )
        ]
    )
    import_modules([str(path)])
    import builtins

    assert builtins.counted == 1
    assert Transform.from_spec("idea")("a") == "A"
    import_modules([write(path, IDEA.format("text.lower()"))])
    assert Transform.from_spec("idea")("A") == "a"
    del builtins.counted


def test_files_import_what_lies_beside_them(tmp_path: Path) -> None:
    write(tmp_path / "loudness.py", "def louder(text):\n    return text.upper()\n")
    import_modules([write(tmp_path / "idea.py", "from .loudness import louder\n" + IDEA.format("louder(text)"))])
    assert Transform.from_spec("idea")("a") == "A"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\nraise ValueError('no')\n", r"idea\.py:2: ValueError: no; fix the file"),
        ("x = 1\n\ndef broken(:\n", r"idea\.py:3: SyntaxError"),
        ("import not_there\n", r"idea\.py:1: ModuleNotFoundError"),
        (IDEA.format("1").replace("'idea'", "'lowercase'"), r"idea\.py:2: InvalidSpecError: the transform name"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(tmp_path: Path, source: str, said: str) -> None:
    path = write(tmp_path / "idea.py", source)
    with pytest.raises(InvalidSpecError, match=said):
        import_modules([path])


def test_files_that_cannot_be_modules_are_named(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one, other = write(tmp_path / "idea.py", ""), write(tmp_path / "other" / "idea.py", "")
    with pytest.raises(InvalidSpecError, match=r"two files 'idea\.py', which have the same name"):
        import_modules([one, other])
    with pytest.raises(InvalidSpecError, match=r"'none\.py', but this file is neither next to"):
        import_modules(["none.py"])
    with pytest.raises(InvalidSpecError, match="use only letters"):
        import_modules([write(tmp_path / "my-idea.py", "")])


def test_files_are_looked_for_beside_the_configuration_and_then_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    write(tmp_path / "configs" / "beside.py", "")
    write(tmp_path / "here.py", "")
    outside = write(tmp_path.parent / f"{tmp_path.name}_outside.py", "")
    monkeypatch.chdir(tmp_path)
    named = ["beside.py", "here.py", "none.py", "my_package.ideas", outside]
    found = locate_files(named, beside=tmp_path / "configs")
    assert found == ["configs/beside.py", "here.py", "none.py", "my_package.ideas", outside]


def test_loading_a_configuration_runs_no_code(tmp_path: Path) -> None:
    write(tmp_path / "evil.py", f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    text = "name: a\nmodules: [evil.py]\nmodel: {base: b}\ndata: {train: c}\nprocessor: {task: text-classification}\n"
    config = load_config(write(tmp_path / "a.yaml", text))
    assert Path(config.modules[0]).name == "evil.py"
    assert not (tmp_path / "ran").exists()


def test_what_is_unknown_is_refused_with_what_to_do(folder: Path, span_run: RunConfig) -> None:
    with pytest.raises(UnknownTypeError, match=r"unknown architecture 'GatedTagger'; known: .*modules"):
        train(run(span_run, [str(folder / "my_texts.py"), str(folder / "my_training.py")]))
    import_modules([str(folder / "my_training.py")])
    metric = Metric.from_spec("whole_documents")
    with pytest.raises(
        InvalidSpecError, match="metrics has 'whole_documents', which is the name of another score; rename it"
    ):
        document_metric("spans", [metric, metric])


@pytest.mark.parametrize(
    ("kind", "group"),
    [
        (Transform, "nlp_inference.transforms"),
        (PostTransform, "nlp_inference.post_transforms"),
        (Task, "nlp_inference.tasks"),
        (Loss, "nlp_training.losses"),
        (Augmentation, "nlp_training.augmentations"),
        (Metric, "nlp_training.metrics"),
    ],
)
def test_each_kind_has_entry_points_of_its_own(
    kind: Any, group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dist = tmp_path / "my_package-1.0.dist-info"
    dist.mkdir()
    write(dist / "METADATA", "Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    write(dist / "entry_points.txt", f"[{group}]\nnew_idea = my_package.ideas:NewIdea\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [point.value for point in kind.entry_points("new_idea")] == ["my_package.ideas:NewIdea"]
