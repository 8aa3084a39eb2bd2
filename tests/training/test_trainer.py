"""The trainer by itself: what it refuses, how it evaluates and predicts, and that training goes on as before."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import torch
from transformers import PreTrainedModel, TrainingArguments

from nlp_inference import Annotation, Document, Processor
from nlp_inference.errors import InvalidSpecError
from nlp_training import RunConfig
from nlp_training.trainer import DocumentTrainer
from nlp_training.trainer.arguments import resolve_config
from nlp_training.trainer.build import build_model, build_processor, build_trainer
from nlp_training.trainer.splits import load_splits


def _trainer(run: RunConfig, **training: Any) -> DocumentTrainer:
    run = run.model_copy(update={"training": {**run.training, **training}})
    splits = load_splits(run)
    processor = build_processor(run, splits["train"])
    return build_trainer(resolve_config(run, processor=processor, best_metric="f1"), processor, splits)


def test_after_an_evaluation_training_runs_under_autocast_and_evaluation_never_does(span_run: RunConfig) -> None:
    trainer = _trainer(span_run, bf16=True, num_train_epochs=2, save_strategy="no")
    seen: list[tuple[bool, torch.dtype]] = []
    trainer.model.classifier.register_forward_hook(lambda module, _, out: seen.append((module.training, out.dtype)))
    trainer.train()
    assert {dtype for training, dtype in seen if training} == {torch.bfloat16}
    assert {dtype for training, dtype in seen if not training} == {torch.float32}
    first_evaluation = next(step for step, (training, _) in enumerate(seen) if not training)
    assert any(training for training, _ in seen[first_evaluation:])


def test_predict_gives_documents_in_their_order(span_run: RunConfig) -> None:
    trainer = _trainer(span_run)
    documents = load_splits(span_run)["test"]
    predicted = trainer.predict_documents(documents)
    assert [document.id for document in predicted] == [document.id for document in documents]
    assert all(isinstance(document.predicted, Annotation) for document in predicted)
    assert [document.gold for document in predicted] == [document.gold for document in documents]
    output = trainer.predict(documents)
    assert (output.predictions, output.label_ids) == (predicted, None)
    assert output.metrics == {f"test_{name}": value for name, value in trainer.score_documents(documents).items()}
    assert trainer.predict([document.with_gold(None) for document in documents], metric_key_prefix="x").metrics == {}


@pytest.mark.parametrize("name", ["loss", "eval_loss", "f2", "accuracy"])
def test_a_best_metric_that_evaluation_does_not_give_is_named_before_training(span_run: RunConfig, name: str) -> None:
    with pytest.raises(InvalidSpecError, match=f"metric_for_best_model is '{name}'.*are f1, precision, recall"):
        _trainer(span_run, metric_for_best_model=name)


def test_scores_of_named_sets_may_choose_the_best_weights(span_run: RunConfig) -> None:
    trainer = _trainer(span_run)
    splits = load_splits(span_run)
    named = {"seen": splits["validation"], "unseen": splits["test"]}
    trainer.args.metric_for_best_model = "eval_seen_f1"
    trainer.args.report_to = []  # this trainer is of no run, in whose folder its log would be
    again = DocumentTrainer(trainer.model, trainer.args, processing_class=trainer.processor, eval_dataset=named)
    assert {"eval_seen_f1", "eval_unseen_f1"} <= set(again.evaluate())


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("argument", "training.fsdp is True, but there is only one training process"),
        ("launcher", r"FSDP is requested, but .* 1 process\(es\) on 'cpu' would hold all weights"),
        ("zero3", "DeepSpeed ZeRO-3 would shard the weights"),
    ],
)
def test_weights_that_would_not_be_sharded_as_asked_or_not_be_gathered_are_refused(
    tmp_path: Path, token_processor: Processor, monkeypatch: pytest.MonkeyPatch, how: str, message: str
) -> None:
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")
    if how == "argument":
        args.fsdp = True
    elif how == "launcher":
        monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
        monkeypatch.setenv("FSDP_VERSION", "2")
    else:
        args.deepspeed_plugin = SimpleNamespace(zero_stage=3)
    with pytest.raises(InvalidSpecError, match=message):
        DocumentTrainer(torch.nn.Linear(1, 1), args, processing_class=token_processor)


def test_an_optimizer_may_be_given(span_run: RunConfig) -> None:
    trainer = _trainer(span_run)
    optimizer = torch.optim.SGD(trainer.model.parameters(), lr=0.1)
    trainer.args.report_to = []  # this trainer is of no run, in whose folder its log would be
    again = DocumentTrainer(
        trainer.model,
        trainer.args,
        processing_class=trainer.processor,
        eval_dataset=trainer.eval_dataset,
        optimizers=(optimizer, None),
    )
    assert again.optimizer is optimizer
    assert again.processing_class is again.processor is trainer.processor


def test_in_every_trial_of_a_search_a_model_of_its_own_is_trained_and_served(
    span_run: RunConfig, tmp_path: Path
) -> None:
    splits = load_splits(span_run)
    processor = build_processor(span_run, splits["train"])
    made: list[PreTrainedModel] = []
    seen: list[tuple[bool, bool, str, str]] = []

    def model_init() -> PreTrainedModel:
        made.append(build_model(span_run, processor))
        return made[-1]

    def objective(metrics: dict[str, Any]) -> float:
        with trainer.serving():
            serving = made[-1].config._attn_implementation
        mixed = trainer.batch_loss.mixer.model
        seen.append((trainer.model is made[-1], mixed is made[-1], serving, made[-1].config._attn_implementation))
        return metrics["eval_f1"]

    trainer = DocumentTrainer(
        model=None,
        args=TrainingArguments(
            str(tmp_path), num_train_epochs=1, eval_strategy="epoch", report_to="none", dataloader_pin_memory=False
        ),
        processing_class=processor,
        train_dataset=splits["train"],
        eval_dataset=splits["validation"],
        training_attention="eager",
        loss="mixup",
        model_init=model_init,
    )
    best = trainer.hyperparameter_search(
        hp_space=lambda trial: {"learning_rate": trial.suggest_categorical("learning_rate", [1e-9, 0.02])},
        compute_objective=objective,
        n_trials=2,
        direction="maximize",
        backend="optuna",
        sampler=optuna.samplers.GridSampler({"learning_rate": [1e-9, 0.02]}, seed=0),
    )
    assert best.hyperparameters == {"learning_rate": 0.02}
    assert len(made) == 3  # a Trainer asks for one when it is made
    assert seen == [(True, True, "sdpa", "eager")] * 2
    weights = [model.classifier.weight for model in made]
    assert not torch.equal(weights[1], weights[2])


def test_lengths_are_counted_on_a_part_of_the_documents_at_a_time(
    span_run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = _trainer(span_run)
    at_once: list[int] = []
    encode = Processor.encode

    def count(self: Processor, documents: list[Document]) -> Any:
        at_once.append(len(documents))
        return encode(self, documents)

    monkeypatch.setattr(Processor, "encode", count)
    many = [Document(raw_text="word " * (number % 7)) for number in range(600)]
    trainer.train_dataset = many
    assert trainer.get_train_dataloader().dataset.lengths == [number % 7 for number in range(600)]
    assert at_once == [256, 256, 88]


def test_an_evaluation_logs_speed_and_memory_under_the_names_of_transformers(span_run: RunConfig) -> None:
    trainer = _trainer(span_run, skip_memory_metrics=False)
    metrics = trainer.evaluate()
    assert metrics["eval_samples_per_second"] == metrics["eval_documents_per_second"] > 0
    assert {"eval_mem_cpu_alloc_delta", "eval_mem_cpu_peaked_delta"} <= {*metrics}
    assert {"eval_runtime", "eval_samples_per_second", "eval_f1"} <= {*trainer.state.log_history[-1]}
