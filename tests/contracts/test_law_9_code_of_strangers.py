"""Law 9: code that came with a model runs only where it is trusted, and only if it is the code that was saved."""

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import pytest
from loud_package import HELPER, SOURCE, Machine

from nlp_inference import Predictor, Processor, Transform
from nlp_inference.errors import ArtefactError, InvalidSpecError, UnknownTypeError

TASK = {"token-classification": {"labels": ["PERSON", "CITY"]}}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch)
    yield machine
    machine.forget()


def loud_processor(tokenizer, preprocess=({"shout": "?"}, "whisper")):
    return Processor(tokenizer, TASK, preprocess, windows={"max_length": 24, "overlap": 6})


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def with_source(machine, tokenizer, saved_model, tmp_path):
    """A model whose transforms travel with it, on a machine where their package is not installed."""
    machine.install()
    processor = loud_processor(tokenizer)
    for step in processor.preprocess:
        step.register_for_auto_class()
    folder = shutil.copytree(saved_model, tmp_path / "with_source")
    processor.save_pretrained(folder)
    machine.uninstall()
    return folder


@pytest.fixture
def without_source(machine, tokenizer, tmp_path):
    machine.install()
    loud_processor(tokenizer).save_pretrained(tmp_path / "without_source")
    machine.uninstall()
    return tmp_path / "without_source"


def config_of(folder):
    return json.loads((folder / "processor_config.json").read_text(encoding="utf-8"))


def write_config(folder, **changes):
    (folder / "processor_config.json").write_text(json.dumps({**config_of(folder), **changes}), encoding="utf-8")


def texts_of(processor, text="Ana"):
    return processor.encode([processor_document(text)])[0].document.text


def processor_document(text):
    from nlp_inference import Document

    return Document(raw_text=text)


def test_a_package_that_is_installed_is_found_by_name(machine):
    machine.install()
    assert Transform.from_spec({"shout": "?"}).to_spec() == {"shout": "?"}
    assert Transform.from_spec("whisper").name == "whisper"


def test_an_installed_package_is_imported_only_when_its_name_is_asked_for(machine):
    machine.install("raise RuntimeError('imported')")
    assert Transform.from_spec("lowercase").name == "lowercase"
    with pytest.raises(UnknownTypeError, match=r"did you mean 'shout'\? Known: .*shout.*whisper"):
        Transform.from_spec("shuot")
    with pytest.raises(InvalidSpecError, match=r"'loud-texts' declares the transform 'shout'.*RuntimeError: imported"):
        Transform.from_spec("shout")


def test_an_entry_point_must_have_the_name_of_its_class(machine):
    machine.install(entry_points="[nlp_inference.transforms]\nloud = loud_texts.changes:Shout\n")
    with pytest.raises(InvalidSpecError, match="registers no transform of that name; use the name of the class"):
        Transform.from_spec("loud")


def test_a_class_of_a_package_is_saved_by_name_module_package_and_version(without_source):
    assert config_of(without_source)["custom"] == [
        {
            "kind": "transform",
            "name": "shout",
            "module": "loud_texts.changes",
            "package": "loud-texts 1.2",
            "version": 3,
        },
        {
            "kind": "transform",
            "name": "whisper",
            "module": "loud_texts.changes",
            "package": "loud-texts 1.2",
            "version": 1,
        },
    ]
    assert not list(without_source.glob("*.py"))


def test_built_in_classes_leave_no_note(token_processor):
    assert "custom" not in token_processor.to_dict()


def test_the_source_is_saved_with_what_it_imports_and_their_digests(with_source):
    assert (with_source / "changes.py").read_text(encoding="utf-8") == SOURCE
    assert (with_source / "volume.py").read_text(encoding="utf-8") == HELPER
    shout, whisper = config_of(with_source)["custom"]
    files = {"changes.py": sha256(SOURCE), "volume.py": sha256(HELPER)}
    assert (shout["code"], shout["files"]) == ("changes.Shout", files)
    assert (whisper["code"], whisper["files"]) == ("changes.whisper", files)


def test_where_the_package_is_installed_nothing_need_be_trusted(machine, without_source):
    machine.install()
    assert texts_of(Processor.from_pretrained(without_source)) == "ana?"


@pytest.mark.parametrize("trusted", [False, True])
def test_without_source_the_error_names_the_package(without_source, trusted):
    said = "unknown transform 'shout' of the module 'loud_texts.changes': install 'loud-texts 1.2' in a version that"
    with pytest.raises(UnknownTypeError, match=said) as caught:
        Processor.from_pretrained(without_source, trust_remote_code=trusted)
    assert "trust_remote_code" not in str(caught.value)


def test_without_trust_the_error_names_the_class_and_the_two_ways(with_source):
    with pytest.raises(UnknownTypeError) as caught:
        Processor.from_pretrained(with_source)
    said = str(caught.value)
    assert "unknown transform 'shout' of the module 'loud_texts.changes'" in said
    assert "two ways to allow it: install 'loud-texts 1.2'" in said
    assert f"or read {with_source / 'changes.py'}, {with_source / 'volume.py'}" in said
    assert "trust_remote_code=True" in said
    with pytest.raises(UnknownTypeError, match="two ways"):
        Predictor.from_pretrained(with_source)


def test_with_trust_the_code_of_the_model_runs(with_source):
    assert texts_of(Processor.from_pretrained(with_source, trust_remote_code=True)) == "ana?"
    predictor = Predictor.from_pretrained(with_source, trust_remote_code=True)
    assert predictor.predict(["Ana"])[0].text == "ana?"


def test_what_the_caller_replaces_need_not_be_trusted(with_source):
    assert texts_of(Processor.from_pretrained(with_source, preprocess=[])) == "Ana"


def test_code_of_a_model_is_known_to_no_other_model(with_source, tokenizer):
    trusted = Processor.from_pretrained(with_source, trust_remote_code=True)
    with pytest.raises(UnknownTypeError, match="unknown transform 'shout'"):
        loud_processor(tokenizer)
    with pytest.raises(UnknownTypeError, match="unknown transform 'shout'"):
        Processor.from_pretrained(with_source)
    assert texts_of(trusted) == "ana?"


def test_two_models_bring_two_transforms_of_one_name(machine, with_source, tokenizer, saved_model, tmp_path):
    machine.install(helper="def louder(text):\n    return text.title()\n", source=SOURCE.replace(" = 3", " = 4"))
    processor = loud_processor(tokenizer, ["shout"])
    processor.preprocess.steps[0].register_for_auto_class()
    processor.save_pretrained(tmp_path / "other")
    machine.uninstall()
    other = Processor.from_pretrained(tmp_path / "other", trust_remote_code=True)
    first = Processor.from_pretrained(with_source, trust_remote_code=True)
    assert (texts_of(other, "ANA"), texts_of(first, "ANA")) == ("Ana!", "ana?")
    assert (other.preprocess.steps[0].version, first.preprocess.steps[0].version) == (4, 3)


def test_trusted_code_wins_over_what_is_installed_because_it_was_evaluated(machine, with_source):
    machine.install(helper="def louder(text):\n    return 'installed'\n")
    assert texts_of(Processor.from_pretrained(with_source)) == "installed?"
    assert texts_of(Processor.from_pretrained(with_source, trust_remote_code=True)) == "ana?"


def test_trusted_code_is_saved_again(with_source, tmp_path):
    again = tmp_path / "again"
    Processor.from_pretrained(with_source, trust_remote_code=True).save_pretrained(again)
    assert (again / "changes.py").read_text(encoding="utf-8") == SOURCE
    assert texts_of(Processor.from_pretrained(again, trust_remote_code=True)) == "ana?"


@pytest.mark.parametrize("name", ["changes.py", "volume.py"])
def test_code_that_is_not_what_was_saved_does_not_run(with_source, tmp_path, name):
    ran = tmp_path / "ran"
    source = (with_source / name).read_text(encoding="utf-8")
    (with_source / name).write_text(f"open({str(ran)!r}, 'w').close()\n{source}", encoding="utf-8")
    with pytest.raises(ArtefactError, match=rf"{name}' has sha256 .*was not run; fetch the model again"):
        Processor.from_pretrained(with_source, trust_remote_code=True)
    assert not ran.exists()


def test_a_file_that_the_code_imports_must_have_been_saved_with_it(with_source):
    shout, whisper = config_of(with_source)["custom"]
    del shout["files"]["volume.py"]
    write_config(with_source, custom=[shout, whisper])
    with pytest.raises(ArtefactError, match=r"volume\.py' has sha256 .* expected none"):
        Processor.from_pretrained(with_source, trust_remote_code=True)


def test_a_relative_import_cannot_leave_the_folder(with_source):
    outside = with_source.parent / "volume.py"
    outside.write_text(HELPER, encoding="utf-8")
    source = SOURCE.replace("from .volume", "from ..volume")
    (with_source / "changes.py").write_text(source, encoding="utf-8")
    shout, whisper = config_of(with_source)["custom"]
    shout["files"]["changes.py"] = whisper["files"]["changes.py"] = sha256(source)
    write_config(with_source, custom=[shout, whisper])
    with pytest.raises(ArtefactError):
        Processor.from_pretrained(with_source, trust_remote_code=True)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise RuntimeError('no')", "cannot be used: RuntimeError: no"),
        ("import not_installed_at_all", "not_installed_at_all"),
        ("Shout = int", "AttributeError|is not the transform 'shout'"),
        ("class Shout: name = 'shout'", "is not the transform 'shout'"),
        ("syntax error", "SyntaxError"),
    ],
)
def test_code_that_is_not_the_class_is_a_clear_error(with_source, source, said):
    (with_source / "changes.py").write_text(source, encoding="utf-8")
    shout, whisper = config_of(with_source)["custom"]
    shout["files"] = {"changes.py": sha256(source)}
    write_config(with_source, custom=[shout, whisper])
    with pytest.raises(ArtefactError, match=said):
        Processor.from_pretrained(with_source, trust_remote_code=True)


@pytest.mark.parametrize(
    "custom",
    [
        *(5, "x", {}, [5], [{}], [{"kind": "transform"}], [{"kind": "os", "name": "x", "module": "y"}]),
        *(
            [{"kind": "transform", "name": "shout", "module": "m", "code": code}]
            for code in ("org/x--a.B", "a", "../a.B")
        ),
        [{"kind": "transform", "name": "shout", "module": "m", "code": "a.B", "files": {"../a.py": "0" * 64}}],
        [{"kind": "transform", "name": "shout", "module": "m", "code": "a.B", "files": {"a.py": "short"}}],
    ],
)
def test_a_note_that_is_damaged_is_a_clear_error(with_source, custom):
    write_config(with_source, custom=custom)
    with pytest.raises(ArtefactError, match="custom"):
        Processor.from_pretrained(with_source, trust_remote_code=True)


def test_a_module_in_the_note_is_never_imported(without_source, machine, tmp_path):
    ran = tmp_path / "ran"
    machine.install(f"open({str(ran)!r}, 'w').close()", entry_points="")
    for trusted in (False, True):
        with pytest.raises(UnknownTypeError, match=r"of the module 'loud_texts\.changes'"):
            Processor.from_pretrained(without_source, trust_remote_code=trusted)
    assert not ran.exists()


class AtTheTop(Transform):
    """Defined in a file of the tests."""

    name = "at_the_top"

    def propose(self, text):
        return text


def test_a_class_inside_a_function_cannot_travel(tokenizer, tmp_path):
    class Hidden(Transform):
        name = "hidden_in_a_function"

        def propose(self, text):
            return text

    Hidden.register_for_auto_class()
    with pytest.raises(ArtefactError, match="define it at the top level of its own module file"):
        Processor(tokenizer, TASK, [Hidden()]).save_pretrained(tmp_path)
    del Transform.members["hidden_in_a_function"]


def test_two_different_files_of_one_name_cannot_travel(machine, tokenizer, tmp_path):
    machine.install()
    (machine.site / "other").mkdir()
    other = (
        SOURCE.replace('"shout"', '"yell"')
        .replace('"whisper"', '"hush"')
        .replace("from .volume", "from loud_texts.volume")
    )
    (machine.site / "other" / "changes.py").write_text(other, encoding="utf-8")
    from other.changes import Shout as Yell

    shout = Transform.from_spec("shout")
    for step in (shout, Yell()):
        step.register_for_auto_class()
    with pytest.raises(ArtefactError, match=r"two different files 'changes\.py'"):
        Processor(tokenizer, TASK, [shout, Yell()]).save_pretrained(tmp_path / "model")


class Evil:
    """A pickle of it runs code when it is opened."""

    def __init__(self, ran):
        self.ran = ran

    def __reduce__(self):
        return (open, (str(self.ran), "w"))


@pytest.fixture
def stranger(saved_model, tmp_path):
    """A copy of a saved model with code beside it, and the file that shows whether that code ran."""
    folder, ran = shutil.copytree(saved_model, tmp_path / "stranger"), tmp_path / "ran"
    classes = "".join(f"class {name}: pass\n" for name in ("Tokenizer", "Processor", "Config", "Model"))
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w').close()\n{classes}", encoding="utf-8")
    yield folder
    assert not ran.exists()


def change(folder: Path, name: str, **changes):
    path = folder / name
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")


def test_a_tokenizer_with_code_of_its_own_is_loaded_without_that_code(stranger):
    change(stranger, "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "evil.Tokenizer"]})
    assert texts_of(Processor.from_pretrained(stranger)) == "Ana"


def test_a_tokenizer_that_needs_its_code_is_refused_without_a_question(stranger, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    auto_map = {"AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"]}
    change(stranger, "tokenizer_config.json", auto_map=auto_map, tokenizer_class="EvilTokenizer")
    change(stranger, "config.json", model_type="evil", auto_map={"AutoConfig": "evil.Config"})
    with pytest.raises(ArtefactError, match=r"cannot be used: ValueError.*contains custom code"):
        Processor.from_pretrained(stranger)


def test_a_model_that_needs_its_code_is_refused_without_a_question(stranger, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    auto_map = {"AutoConfig": "evil.Config", "AutoModelForTokenClassification": "evil.Model"}
    change(stranger, "config.json", model_type="evil", auto_map=auto_map)
    with pytest.raises(ArtefactError, match="contains custom code"):
        Predictor.from_pretrained(stranger)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.bin"])
def test_a_pickle_of_weights_is_not_opened(stranger, tmp_path, name):
    (stranger / "model.safetensors").unlink()
    (stranger / name).write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    with pytest.raises(ArtefactError, match="safetensors"):
        Predictor.from_pretrained(stranger)


@pytest.mark.parametrize(
    "changes",
    [
        {"transformers_weights": "adapter_model.bin"},
        {"attn_implementation": "evil/kernel"},
        {"_attn_implementation": "evil/kernel"},
        {"experts_implementation": "evil/kernel"},
        {"text_config": {"attn_implementation": "evil/kernel:forward"}},
        {"layers": [{}, {"attn_implementation": "evil/kernel"}]},
        {"parts": [[{"transformers_weights": "adapter_model.bin"}]]},
    ],
)
def test_a_config_cannot_name_a_pickle_or_code_on_the_hub(stranger, tmp_path, changes):
    (stranger / "adapter_model.bin").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    change(stranger, "config.json", **changes)
    with pytest.raises(ArtefactError, match=r"config\.json sets .* remove the key"):
        Predictor.from_pretrained(stranger)


def test_files_that_a_processor_of_texts_does_not_need_are_not_read(stranger):
    evil = {"audio_tokenizer_class": "evil.Tokenizer", "audio_tokenizer_name_or_path": str(stranger)}
    change(stranger, "audio_tokenizer_config.json", **evil)
    (stranger / "chat_template.json").write_text("[", encoding="utf-8")
    (stranger / "chat_template.jinja").write_text("{% for x in range(9**9) %}{{ x }}{% endfor %}", encoding="utf-8")
    assert texts_of(Processor.from_pretrained(stranger)) == "Ana"


def test_a_processor_that_names_an_audio_tokenizer_is_refused(stranger):
    change(stranger, "processor_config.json", audio_tokenizer={"audio_tokenizer_class": "evil.Tokenizer"})
    with pytest.raises(ArtefactError, match="unknown: \\['audio_tokenizer'\\]"):
        Processor.from_pretrained(stranger)
