"""The configurations of `accelerate launch`: each loads, asks for what its name says, and those of the CPU run."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_multi_gpu_env
from made_up_records import span_records, write_jsonl
from torch import nn
from transformers import BertConfig, BertForTokenClassification

from nlp_inference import Predictor
from nlp_inference.golden import require_verified
from nlp_training import RunConfig, load_documents
from nlp_training.config import save_config
from nlp_training.evaluation import evaluate_documents
from nlp_training.trainer.evaluation_model import without_weights
from nlp_training.trainer.sharding import layers_to_shard

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "configs" / "accelerate"
KINDS = {
    "ddp": DistributedType.MULTI_GPU,
    "ddp_cpu": DistributedType.MULTI_GPU,
    "fsdp": DistributedType.FSDP,
    "deepspeed_zero1": DistributedType.DEEPSPEED,
    "deepspeed_zero2": DistributedType.DEEPSPEED,
}


def test_there_is_a_configuration_of_each_kind() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_a_configuration_says_when_to_use_it_and_is_what_its_name_says(name: str) -> None:
    path = FOLDER / f"{name}.yaml"
    text = path.read_text()
    assert f"accelerate launch --config_file configs/accelerate/{name}.yaml scripts/train.py" in text.split("\n\n")[0]
    config = load_config_from_file(str(path))
    assert isinstance(config, ClusterConfig)
    assert config.distributed_type == KINDS[name]
    assert config.mixed_precision == "no"
    assert config.num_processes == 2
    assert config.use_cpu == name.endswith("cpu")


def _launch_arguments(name: str) -> Any:
    """What `accelerate launch` makes of a configuration; keys that it does not know would be left behind."""
    arguments = launch_command_parser().parse_args(["--config_file", str(FOLDER / f"{name}.yaml"), "train.py"])
    arguments, *_ = _validate_launch_command(arguments)
    return arguments


@pytest.mark.parametrize("name", KINDS)
def test_the_launcher_knows_every_key(name: str) -> None:
    known = vars(launch_command_parser().parse_args(["train.py"]))
    sections = {"fsdp_config", "deepspeed_config", "mpirun_config", "compute_environment", "distributed_type", "debug"}
    content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    inner = [key for section in ("fsdp_config", "deepspeed_config") for key in content.get(section, {})]
    assert {*content, *inner} - sections - {"use_cpu"} <= set(known)


@pytest.fixture
def fsdp_plugin(monkeypatch: pytest.MonkeyPatch) -> FullyShardedDataParallelPlugin:
    """What a process that was launched with fsdp.yaml reads from its environment."""
    for key, value in prepare_multi_gpu_env(_launch_arguments("fsdp")).items():
        monkeypatch.setenv(key, value)
    assert os.environ["ACCELERATE_USE_FSDP"] == "true"
    return FullyShardedDataParallelPlugin()


def test_fsdp_is_that_of_the_second_version_by_layers(fsdp_plugin: FullyShardedDataParallelPlugin) -> None:
    assert fsdp_plugin.fsdp_version == 2
    assert fsdp_plugin.reshard_after_forward is True
    assert "SHARDED_STATE_DICT" in str(fsdp_plugin.state_dict_type)
    assert fsdp_plugin.cpu_ram_efficient_loading is False
    shape = {"hidden_size": 4, "num_hidden_layers": 2, "num_attention_heads": 1, "intermediate_size": 4}
    model = BertForTokenClassification(BertConfig(vocab_size=9, **shape))
    fsdp_plugin.transformer_cls_names_to_wrap = layers_to_shard(model)
    fsdp_plugin.set_auto_wrap_policy(model)
    decide: Callable[..., bool] = fsdp_plugin.auto_wrap_policy
    wrapped = [name for name, one in model.named_modules() if decide(module=one, recurse=False, nonwrapped_numel=0)]
    assert wrapped == ["bert.encoder.layer.0", "bert.encoder.layer.1"]


@pytest.mark.parametrize("stage", [1, 2])
def test_deepspeed_shards_no_weights(stage: int) -> None:
    arguments = _launch_arguments(f"deepspeed_zero{stage}")
    assert arguments.use_deepspeed
    assert arguments.zero_stage == stage
    assert arguments.offload_param_device == "none"
    assert arguments.gradient_accumulation_steps == "auto"


def test_an_outline_has_the_buffers_and_the_ties_of_its_model() -> None:
    model = nn.ModuleDict({"one": nn.Linear(2, 2, bias=False), "two": nn.Linear(2, 2, bias=False)})
    model["two"].weight = model["one"].weight
    model.register_buffer("kept", nn.Parameter().new_ones(3), persistent=False)
    outline: Any = without_weights(model)
    assert outline["one"].weight is outline["two"].weight
    assert outline["one"].weight.is_meta
    assert outline.kept.tolist() == [1, 1, 1]
    assert model["one"].weight.device.type == "cpu"


def _run(command: list[str], **environment: str) -> str:
    known = {key: value for key, value in os.environ.items() if not key.startswith(("ACCELERATE_", "FSDP_"))}
    environment = {**known, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_two_processes_on_a_cpu_train_on_a_stream(span_run: RunConfig, tmp_path: Path) -> None:
    content = span_run.model_dump(exclude_none=True)
    content["data"]["train"] = {"path": content["data"]["train"]["path"], "streaming": True}
    content["data"]["test"] = {"test": str(write_jsonl(tmp_path / "uneven.jsonl", span_records("test", 3)))}
    content["processor"]["task"] = {"token-classification": {"labels": ["CITY", "PERSON"]}}
    content["training"] = {"learning_rate": 0.02, "max_steps": 20, "per_device_train_batch_size": 4, "bf16": False}
    run = RunConfig.model_validate(content)
    save_config(run, tmp_path / "run.yaml")
    config = ["--config_file", "configs/accelerate/ddp_cpu.yaml", "--main_process_port", "0"]
    launch = [sys.executable, "-m", "accelerate.commands.launch", *config]
    told = _run([*launch, "scripts/train.py", str(tmp_path / "run.yaml")], COLUMNS="120")
    assert "cpu:0, 2 process(es)" in told
    assert "train streamed" in told
    model = run.folder / "model"
    assert evaluate_documents(Predictor.from_pretrained(model), load_documents(run.data.test["test"]))["f1"] == 1.0
    assert require_verified(model).records


FSDP_SCRIPT = """
import os
import sys
import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from nlp_training import load_config, train
from nlp_training.trainer.evaluation_model import is_sharded
from nlp_training.trainer import DocumentTrainer

make = AcceleratorState.__init__
def shard_on_a_cpu_too(self, *args, fsdp_plugin=None, **kwargs):
    # accelerate 1.15 takes a plugin for several GPUs only, and trains with DDP elsewhere, without a word.
    make(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
    if fsdp_plugin is not None:
        self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
        self.fsdp_plugin = fsdp_plugin
AcceleratorState.__init__ = shard_on_a_cpu_too

score, sharded, whole = DocumentTrainer.score_documents, [], []
def watch(self, *args, **kwargs):
    sharded.append(is_sharded(self.model))
    with self.serving() as predictor:
        weights = predictor.backend.model.state_dict()
        assert not is_sharded(predictor.backend.model)
        whole.append(torch.stack([tensor.double().sum() for tensor in weights.values() if tensor.is_floating_point()]))
    return score(self, *args, **kwargs)
DocumentTrainer.score_documents = watch

result = train(load_config(sys.argv[1]))
assert sharded == [True, True, False, False], sharded
for mine in whole:
    both = [torch.empty_like(mine), torch.empty_like(mine)]
    torch.distributed.all_gather(both, mine)
    assert torch.equal(*both)
assert not torch.equal(whole[0], whole[1])
assert torch.equal(whole[-1], whole[-2])
torch.distributed.destroy_process_group()
# Not by the interpreter's end: a thread of gloo that lets go of the tensors of the last all_gather only then has to
# wait for an interpreter that is no more, and aborts the process.
os._exit(0)
"""


@pytest.mark.slow
def test_two_processes_shard_the_weights_and_evaluate_and_save_them_whole(span_run: RunConfig, tmp_path: Path) -> None:
    run = span_run.model_copy(
        update={"training": {**span_run.training, "num_train_epochs": 2, "bf16": True, "report_to": "none"}}
    )
    save_config(run, tmp_path / "run.yaml")
    (tmp_path / "script.py").write_text(FSDP_SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    asked = {
        key: value
        for key, value in prepare_multi_gpu_env(_launch_arguments("fsdp")).items()
        if key.startswith(("ACCELERATE_USE_FSDP", "FSDP_"))
    }
    _run([*launch, str(tmp_path / "script.py"), str(tmp_path / "run.yaml")], **asked)
    model = run.folder / "model"
    verification = require_verified(model)
    assert verification.bit_for_bit == verification.records > 0
    predictor = Predictor.from_pretrained(model)
    assert type(predictor.backend.model).__name__ == "BertForTokenClassification"
    assert evaluate_documents(predictor, load_documents(run.data.test["test"]))["f1"] > 0.9
