"""A Hugging Face Trainer that trains on Documents and evaluates with the Predictor."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from math import ceil
from time import perf_counter
from typing import Any

import torch
from accelerate.utils import gather_object
from transformers import PreTrainedModel, TrainerCallback, TrainingArguments
from transformers.trainer_utils import PredictionOutput

from nlp_inference import Document, Processor
from nlp_inference.errors import InvalidSpecError
from nlp_inference.registry import Spec
from nlp_training.augment import Augmenter
from nlp_training.batches.augmented_epochs import AugmentedEpochs, AugmentedWindows, training_windows
from nlp_training.batches.collator import DocumentCollator
from nlp_training.batches.sample_weights import RowWeights, check_sample_weights
from nlp_training.batches.samplers import check_not_mixed, epoch_order, is_mixed
from nlp_training.batches.streaming import check_stream, is_stream, stream_loader
from nlp_training.batches.window_dataset import RowLengths, TrainingWindows
from nlp_training.config import DistillationSettings, EmaSettings, LearningRates
from nlp_training.evaluation import compare, of_all_processes, predict_beside_gold, score
from nlp_training.evaluation.prediction_files import PredictionFile
from nlp_training.losses import Loss
from nlp_training.metrics import Metric
from nlp_training.trainer.arguments import check_best_metric
from nlp_training.trainer.batch_loss import BatchLoss, check_loss_of_heads, check_weighting
from nlp_training.trainer.evaluation_model import plain_model
from nlp_training.trainer.evaluation_model_trainer import EvaluationModelTrainer
from nlp_training.trainer.heads_loss import LOG_VARIANCES, BatchLossOfHeads
from nlp_training.trainer.parameter_groups import parameter_groups
from nlp_training.trainer.sharding import check_sharded_loss, check_sharding
from nlp_training.trainer.teacher_term import TeacherTerm

Documents = Sequence[Document]


class DocumentTrainer(EvaluationModelTrainer):
    """A Trainer for Documents that evaluates as production predicts.

    The processor that is saved with the model makes the batches. `per_device_train_batch_size` counts windows, which
    are the rows of a batch: a long document is trained window by window, each once per epoch (with several processes, a
    few are repeated to complete the last batches). `evaluate` removes the gold, predicts with a `Predictor` in the
    precision of the weights, and compares Documents. Any number of processes may train; weights that FSDP shards are
    gathered for evaluation and saving, and DeepSpeed ZeRO-3 is refused.

    Args:
        model: the transformers model to train, or `None` if `model_init` creates it.
        args: the training arguments; `train_sampling_strategy="group_by_length"` groups windows by length.
        processing_class: the processor, which encodes and decodes; saved with every checkpoint.
        train_dataset: documents with gold; an iterable without a length is streamed, see `streaming.py`.
        eval_dataset: documents with gold, or several data sets by name.
        callbacks: additional callbacks.
        optimizers: optimizer and scheduler, to replace those of `args`.
        training_attention: the attention implementation while training, if it differs from that of the model, which
            evaluation uses.
        learning_rates: rates of layers and of the head that differ from that of `args`.
        distillation: the teacher whose outputs and hidden states are learned in addition to `loss`.
        ema: how to average the weights; the average is evaluated and saved. `None` evaluates the trained weights.
        loss: the loss, see `nlp_training.losses`, as an object or a specification such as `{"focal": 2}`; `None` means
            the default loss of the task, or that of the model. The mean is over all items of a step, regardless of how
            it is divided into batches and processes.
        sample_weight: the metadata key of a training document's weight in `loss`.
        weigh_windows: whether each document has the same weight in `loss`, instead of each window.
        windows_per_document: how many random windows of a longer document an epoch uses; `None` uses all.
        balance: the `power` of `balancing_weights`; if set, documents with rare labels are drawn more often.
        augmenter: the augmenter, which changes the training documents differently in each epoch.
        metrics: additional scores of each evaluation.
        model_init: creates the model for each training if `model` is `None`; for `hyperparameter_search`, whose
            `compute_objective` must select the score.

    Raises:
        InvalidSpecError: the sharding is not supported, `metric_for_best_model` is not a score of this task, or the
            loss is not suitable.
        InvalidDocumentError: a training document has no sample weight.
    """

    batch_loss: BatchLoss | BatchLossOfHeads | None = None
    teacher_term: TeacherTerm | None = None

    def __init__(  # noqa: PLR0913 - the arguments of a Trainer and of this library
        self,
        model: PreTrainedModel | torch.nn.Module | None,
        args: TrainingArguments,
        *,
        processing_class: Processor,
        train_dataset: Iterable[Document] | None = None,
        eval_dataset: Documents | Mapping[str, Documents] | None = None,
        callbacks: Sequence[TrainerCallback] = (),
        optimizers: tuple[torch.optim.Optimizer | None, torch.optim.lr_scheduler.LambdaLR | None] = (None, None),
        training_attention: str | None = None,
        learning_rates: LearningRates | None = None,
        ema: EmaSettings | None = None,
        distillation: DistillationSettings | None = None,
        loss: Loss | Spec | None = None,
        sample_weight: str | None = None,
        weigh_windows: bool = False,
        windows_per_document: int | None = None,
        balance: float | None = None,
        augmenter: Augmenter | None = None,
        metrics: Sequence[Metric] = (),
        model_init: Callable[..., PreTrainedModel] | None = None,
    ) -> None:
        check_sharding(args)
        if is_stream(train_dataset):
            check_stream(train_dataset, args, balance=balance)
        self.metrics = tuple(metrics)
        check_best_metric(args, processing_class, eval_dataset, own=self.metrics)
        args.remove_unused_columns = False  # a Document has no columns
        if processing_class.fingerprint is not None:  # it belongs to the weights before training
            processing_class = processing_class.with_fingerprint(None)
        super().__init__(
            model=model,
            args=args,
            data_collator=DocumentCollator(processing_class, sample_weight, weigh_windows),
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            callbacks=list(callbacks),
            optimizers=optimizers,
            model_init=model_init,
            training_attention=training_attention,
            ema=ema,
        )
        self.learning_rates = learning_rates
        self.processor = processing_class
        self._known_lengths: tuple[Documents, Sequence[RowLengths]] = ((), ())
        # Most models accept the number of labels of a step but ignore it: their loss is the mean of the batch. Trainer
        # would treat it as scaled, and gradients would grow with `gradient_accumulation_steps` and the processes.
        self.model_accepts_loss_kwargs = False
        self.row_weights = RowWeights(sample_weight, by_document=weigh_windows)
        self.windows_per_document = windows_per_document
        self.balance = balance
        self.augmenter = None if augmenter is None else augmenter.within(processing_class)
        loss = self.processor.task.default_loss if loss is None else loss
        self.batch_loss = None if loss is None else self._make_loss(Loss.from_spec(loss))
        self.loss_is_scaled_for_ga = self.batch_loss is not None
        if distillation is not None:
            self.teacher_term = TeacherTerm(
                distillation,
                processor=self.processor,
                model=plain_model(self.accelerator, self.model),
                loss=self.batch_loss,
                device=str(args.device),
            )
        check_weighting(
            args,
            task=self.processor.task,
            has_loss=loss is not None,
            weights=self.row_weights,
            balance=balance,
            windows_per_document=windows_per_document,
        )
        if windows_per_document is not None and train_dataset is not None and not is_stream(train_dataset):
            check_not_mixed(train_dataset)
        if sample_weight is not None and train_dataset is not None and not is_stream(train_dataset):
            check_sample_weights(train_dataset, sample_weight)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Create the optimizer of `args`, with the learning rates of layers and head if they are set.

        Raises:
            InvalidSpecError: the optimizer of `args` does not take groups of parameters.
        """
        if self.optimizer is not None or self.learning_rates is None:
            return super().create_optimizer(model)
        trained: Any = plain_model(self.accelerator, self.model if model is None else model)
        kind, settings = self.get_optimizer_cls_and_kwargs(self.args, trained)
        if {"params", "model", "optimizer_dict"} & settings.keys():
            raise InvalidSpecError(f"learning_rates cannot be combined with training.optim {self.args.optim!r}")
        groups = parameter_groups(
            trained,
            self.learning_rates,
            learning_rate=self.args.learning_rate,
            weight_decay=self.args.weight_decay,
            decayed=self.get_decay_parameter_names(trained),
        )
        self.optimizer = kind(groups, **settings)
        return self.optimizer

    def get_decay_parameter_names(self, model: Any) -> list[str]:
        """Return the parameters with weight decay, without the learned weights of losses."""
        return [name for name in super().get_decay_parameter_names(model) if name != LOG_VARIANCES]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the loss with the values that it logs in addition."""
        for part in (self.batch_loss, self.teacher_term):
            if "loss" in logs and part is not None:
                logs |= part.log_values()
        super().log(logs, start_time)

    def take_model(self, model: Any) -> None:
        """Prepare a model for training with the loss, and for evaluation."""
        super().take_model(model)
        for part in (self.batch_loss, self.teacher_term):
            if part is not None:
                part.take_model(model)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Do not warn of tied weights: a checkpoint contains them under one of their names."""
        tied = getattr(plain_model(self.accelerator, self.model), "all_tied_weights_keys", None) or {}
        missing = [key for key in load_result.missing_keys if key not in tied]
        super()._issue_warnings_after_load(load_result._replace(missing_keys=missing))

    def gather_weights(self) -> None:
        """After training, gather sharded weights in every process, and remove what the loss added to the model."""
        super().gather_weights()
        if self.batch_loss is not None:
            self.batch_loss.release(plain_model(self.accelerator, self.model))

    def _make_loss(self, loss: Loss) -> BatchLoss | BatchLossOfHeads:
        check_loss_of_heads(loss, self.processor.task)
        if self.is_fsdp_enabled:
            check_sharded_loss(loss)
        documents: Any = self.train_dataset
        model = plain_model(self.accelerator, self.model)
        computed = BatchLossOfHeads if loss.of_heads else BatchLoss
        return computed(
            loss,
            processor=self.processor,
            model=model,
            documents=documents,
            device=str(self.args.device),
            seed=f"{self.args.seed}:{self.args.process_index}",
            step=lambda: self.state.global_step,
        )

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 - the Trainer's signature
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the loss of the model, or of the argument `loss`; see `Trainer.compute_loss`."""
        if self.teacher_term is None:
            return self._gold_loss(model, inputs, return_outputs, num_items_in_batch)
        batch = dict(inputs)
        with self.teacher_term.watching():
            loss, outputs = self._gold_loss(model, inputs, True, num_items_in_batch)  # noqa: FBT003 - as the Trainer
        term = self.teacher_term(batch, outputs)
        if num_items_in_batch is not None and self.loss_is_scaled_for_ga:
            term = term / self.current_gradient_accumulation_steps
        loss = loss + term
        return (loss, outputs) if return_outputs else loss

    def _gold_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool,  # noqa: FBT001 - as the Trainer
        num_items_in_batch: Any,
    ) -> Any:
        if self.batch_loss is None:
            if (
                self.label_smoother is not None and "labels" in inputs
            ):  # the labels are not given to the model, which may read them
                plain = plain_model(self.accelerator, model)
                inputs |= self.processor.task.decoder_inputs(plain, inputs["labels"])
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        loss, outputs = self.batch_loss(model, inputs, num_items_in_batch)
        if num_items_in_batch is not None:
            loss = loss * self.args.world_size  # because gradients are averaged over processes
        return (loss, outputs) if return_outputs else loss

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """Return the total weight of all items of a step, over all processes."""
        if self.batch_loss is None or not batch_samples:
            return super()._get_num_items_in_batch(batch_samples, device)
        total = self.batch_loss.total_weight(batch_samples).to(device)
        return self.accelerator.gather(total[None]).sum(dim=0)

    def take_row_lengths(self, documents: Documents, lengths: Sequence[RowLengths]) -> None:
        """Set the row lengths of training documents that were already encoded with this trainer's processor.

        Args:
            documents: the same object as the trainer's `train_dataset`; otherwise the lengths are not used.
            lengths: the result of `row_lengths` for each document, in order.
        """
        self._known_lengths = (documents, lengths)

    def get_train_dataloader(self) -> torch.utils.data.DataLoader[Any]:
        """Return the loader of batches of windows; documents are encoded for their lengths if these are unknown."""
        documents: Any = self.train_dataset
        if documents is None:
            return super().get_train_dataloader()  # raises the error
        if is_stream(documents):
            collator: Any = self.data_collator
            size = self._train_batch_size
            return stream_loader(
                documents,
                collator,
                self.args,
                batch_size=size,
                augmenter=self.augmenter,
                per_document=self.windows_per_document,
            )
        windows = training_windows(
            documents,
            self.processor,
            known_lengths=self._known_lengths,
            augmenter=self.augmenter,
            weights=self.row_weights,
            per_document=self.windows_per_document,
        )
        count = windows.epoch_size if isinstance(windows, TrainingWindows) else len(windows)
        if isinstance(self.batch_loss, BatchLoss) and self.row_weights.by_document:
            self.batch_loss.window_scale = count / len(documents)
        self._check_last_batch(count)
        return self._get_dataloader(
            windows,
            description="Training",
            batch_size=self._train_batch_size,
            sampler_fn=self._get_train_sampler,  # type: ignore[arg-type]  # None is accepted too
            is_training=True,
        )

    def _check_last_batch(self, windows: int) -> None:
        """Raise an error if `dataloader_drop_last` would drop the only batch."""
        rows = self._train_batch_size * self.args.world_size
        if self.args.dataloader_drop_last and windows < rows:
            raise InvalidSpecError(
                f"training.dataloader_drop_last is true, but the training documents have {windows} window(s), and a "
                f"batch of all processes has {rows}, so no batch would remain; remove it, or decrease "
                "training.per_device_train_batch_size"
            )

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[Any] | None:
        """Return a sampler whose order of an epoch does not depend on earlier epochs, unlike that of a Trainer."""
        if isinstance(train_dataset, AugmentedWindows):
            return AugmentedEpochs(train_dataset, self._get_train_sampler, epoch=lambda: int(self.state.epoch or 0))
        grouped = self.args.train_sampling_strategy == "group_by_length"
        documents: Any = self.train_dataset
        is_sampled = self.windows_per_document is not None and isinstance(train_dataset, TrainingWindows)
        # with the power 0, only the weights of a mix count
        balance = 0.0 if self.balance is None and is_mixed(documents) else self.balance
        if balance is None and not is_sampled and not grouped:
            sampler: torch.utils.data.Sampler[Any] | None = super()._get_train_sampler(train_dataset)
            return sampler
        step_rows = self._train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return epoch_order(
            train_dataset,
            step_rows=step_rows if grouped else None,
            seed=self.args.data_seed if self.args.data_seed is not None else self.args.seed,
            epoch=lambda: int(self.state.epoch or 0),
            balance=None if balance is None else (self.processor.task.needs, balance),
        )

    def evaluate(  # type: ignore[override]  # a Trainer's data set contains tensors, this one Documents
        self,
        eval_dataset: Documents | Mapping[str, Documents] | None = None,
        ignore_keys: list[str] | None = None,  # noqa: ARG002 - there are no outputs to gather
        metric_key_prefix: str = "eval",
    ) -> dict[str, Any]:
        """Score the current weights on documents with gold.

        Args:
            eval_dataset: documents, or several data sets by name; `None` means that of the trainer.
            ignore_keys: not used; there are no outputs to gather.
            metric_key_prefix: the prefix of the names of the scores.

        Returns:
            The scores, each under `{metric_key_prefix}_{name}`.
        """
        documents: Any = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(documents, Mapping):
            named = {f"{metric_key_prefix}_{name}": one for name, one in documents.items()}
            return {key: value for name, one in named.items() for key, value in self.evaluate(one, None, name).items()}
        self._memory_tracker.start()
        started = perf_counter()
        scores = self.score_documents(documents)
        seconds = perf_counter() - started
        speed = len(documents) / max(seconds, 1e-9)
        scores |= {"runtime": seconds, "documents_per_second": speed, "samples_per_second": speed}
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in scores.items()}
        self.log({name: value for name, value in metrics.items() if isinstance(value, float)})
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self._memory_tracker.stop_and_update_metrics(metrics)
        return metrics

    def score_documents(self, documents: Documents, *, keep: PredictionFile | None = None) -> dict[str, Any]:
        """Score the current weights; every process predicts its share of the documents, each exactly once.

        Args:
            documents: documents with gold.
            keep: the file to write the scored predictions to; `None` does not write them.
        """
        process, processes = self.args.process_index, self.args.world_size
        needs = self.processor.task.needs
        with ExitStack() as stack:
            predictor = stack.enter_context(self.serving())
            pairs = predict_beside_gold(predictor, documents[process::processes])
            if keep is not None:
                keep = keep._replace(process=process, processes=processes)
                pairs = stack.enter_context(closing(keep.keep(pairs, predictor)))
            comparisons = compare(pairs, needs=needs, own=self.metrics)
            if processes > 1:
                comparisons = of_all_processes(comparisons, largest_share=ceil(len(documents) / processes))
            scores = score(comparisons, needs=needs, own=self.metrics)
        if keep is not None:
            self.accelerator.wait_for_everyone()
            if process == 0:
                keep.merge()
        return scores

    def predict(  # type: ignore[override]  # a Trainer's data set contains tensors, this one Documents
        self,
        test_dataset: Documents,
        ignore_keys: list[str] | None = None,  # noqa: ARG002 - there are no outputs to gather
        metric_key_prefix: str = "test",
    ) -> PredictionOutput:
        """Predict documents with the current weights, and score them if all of them have gold.

        Args:
            test_dataset: documents.
            ignore_keys: not used; there are no outputs to gather.
            metric_key_prefix: the prefix of the names of the scores.

        Returns:
            The output of a `transformers.Trainer`: `predictions` are the documents with `predicted`, in order, in every
            process; `label_ids` is `None`, because the documents have the gold; `metrics` are the scores, each under
            `{metric_key_prefix}_{name}`, and empty if a document has no gold.
        """
        documents = self.predict_documents(test_dataset)
        pairs = [(one.with_gold(None), one.gold) for one in documents if one.gold is not None]
        metrics: dict[str, Any] = {}
        if pairs and len(pairs) == len(documents):
            needs = self.processor.task.needs
            scores = score(compare(pairs, needs=needs, own=self.metrics), needs=needs, own=self.metrics)
            metrics = {f"{metric_key_prefix}_{name}": value for name, value in scores.items()}
        predictions: Any = documents
        return PredictionOutput(predictions=predictions, label_ids=None, metrics=metrics)

    def predict_documents(self, documents: Documents) -> list[Document]:
        """Predict documents with the current weights, as in production.

        Args:
            documents: the documents; their gold is kept but not read.

        Returns:
            The documents with `predicted`, in order, in every process.
        """
        count = self.args.world_size
        with self.serving() as predictor:
            predicted = predictor.predict(documents[self.args.process_index :: count])
        if count == 1:
            return predicted
        shares: list[list[Document]] = gather_object([predicted])
        return [shares[index % count][index // count] for index in range(len(documents))]
