"""A Hugging Face Trainer whose data are Documents and whose evaluation is the Predictor."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
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
from nlp_training.batches.sample_weights import check_sample_weights
from nlp_training.batches.samplers import epoch_order
from nlp_training.batches.streaming import check_stream, is_stream, stream_loader
from nlp_training.batches.window_dataset import RowLengths
from nlp_training.config import LearningRates
from nlp_training.evaluation import compare, of_all_processes, predict_beside_gold, score
from nlp_training.evaluation.prediction_files import PredictionFile
from nlp_training.losses import Loss
from nlp_training.metrics import Metric
from nlp_training.trainer.arguments import check_best_metric
from nlp_training.trainer.batch_loss import BatchLoss, check_weighting
from nlp_training.trainer.evaluation_model import plain_model
from nlp_training.trainer.evaluation_model_trainer import ServingTrainer
from nlp_training.trainer.parameter_groups import parameter_groups
from nlp_training.trainer.sharding import check_sharded_loss, check_sharding

Documents = Sequence[Document]


class DocumentTrainer(ServingTrainer):
    """Trains on Documents, and evaluates as production predicts.

    Batches are made by the processor that is saved with the model. `per_device_train_batch_size` counts windows, the
    rows that the model reads at once: a long document is trained window by window, each once an epoch (several
    processes repeat a few, to make their last batches whole). `evaluate` strips the gold, predicts with a `Predictor`,
    in the precision of the weights, and compares Documents. Any number of processes may train; weights that FSDP
    shards among them are gathered to evaluate and to save, those of DeepSpeed ZeRO-3 are refused.

    Args:
        model: what is trained; a transformers model, or `None` if `model_init` makes it.
        args: as everywhere; `train_sampling_strategy="group_by_length"` puts windows of like length together.
        processing_class: the processor, which encodes and decodes; saved with every checkpoint.
        train_dataset: documents with gold; those without a length are streamed, see `streaming.py`.
        eval_dataset: documents with gold, or several such sets by name.
        callbacks: further callbacks.
        optimizers: optimizer and scheduler, where they are not to be those of `args`.
        training_attention: attention implementation while training, if it is not to be the model's own, which
            evaluation takes.
        learning_rates: rates of layers and of the head that differ from that of `args`.
        loss: what to minimise, see `nlp_training.losses`, as an object or a specification such as `{"focal": 2}`;
            `None` means the default loss of the task, or else the model's own loss. The mean is over all items of a
            step, however it is divided among batches and processes.
        sample_weight: metadata key of how much a training document counts in `loss`.
        balance: if given, documents are drawn the more often the rarer their labels are; see `balancing_weights`,
            whose `power` this is.
        augmenter: changes the training documents, anew in each epoch.
        metrics: further scores of each evaluation.
        model_init: makes the model, anew for each training, where `model` is `None`; for `hyperparameter_search`, whose
            `compute_objective` has to say which score counts.

    Raises:
        InvalidSpecError: the weights would be sharded, `metric_for_best_model` is no score of this task, or the loss
            does not fit.
        InvalidDocumentError: a training document has no sample weight.
    """

    batch_loss: BatchLoss | None = None

    def __init__(  # noqa: PLR0913 - the arguments of a Trainer, and what it trains for
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
        loss: Loss | Spec | None = None,
        sample_weight: str | None = None,
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
        if processing_class.fingerprint is not None:  # of the weights before training
            processing_class = processing_class.with_fingerprint(None)
        super().__init__(
            model=model,
            args=args,
            data_collator=DocumentCollator(processing_class, sample_weight),
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            callbacks=list(callbacks),
            optimizers=optimizers,
            model_init=model_init,
            training_attention=training_attention,
        )
        self.learning_rates = learning_rates
        self.processor = processing_class
        self._known_lengths: tuple[Documents, Sequence[RowLengths]] = ((), ())
        # Most models take the count of labels of a step, and ignore it: their loss is the mean of its batch. Trainer
        # would believe it scaled, and gradients would grow with `gradient_accumulation_steps` and the processes.
        self.model_accepts_loss_kwargs = False
        self.sample_weight = sample_weight
        self.balance = balance
        self.augmenter = None if augmenter is None else augmenter.within(processing_class)
        loss = self.processor.task.default_loss if loss is None else loss
        self.batch_loss = None if loss is None else self._make_loss(Loss.from_spec(loss))
        self.loss_is_scaled_for_ga = self.batch_loss is not None
        check_weighting(
            args, task=self.processor.task, has_loss=loss is not None, sample_weight=sample_weight, balance=balance
        )
        if sample_weight is not None and train_dataset is not None and not is_stream(train_dataset):
            check_sample_weights(train_dataset, sample_weight)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Create the optimizer of `args`, with the learning rates of layers and head if they are set.

        Raises:
            InvalidSpecError: the optimizer of `args` does not take groups of parameters.
        """
        if self.optimizer is not None or self.learning_rates is None:
            return super().create_optimizer(model)
        trained: Any = self.model if model is None else model
        kind, settings = self.get_optimizer_cls_and_kwargs(self.args, trained)
        if {"params", "model", "optimizer_dict"} & settings.keys():
            raise InvalidSpecError(f"learning_rates cannot be combined with training.optim {self.args.optim!r}")
        groups = parameter_groups(
            plain_model(self.accelerator, trained),
            self.learning_rates,
            learning_rate=self.args.learning_rate,
            weight_decay=self.args.weight_decay,
            decayed=self.get_decay_parameter_names(trained),
        )
        self.optimizer = kind(groups, **settings)
        return self.optimizer

    def take_model(self, model: Any) -> None:
        """Prepare a model to be trained with the loss, and served meanwhile."""
        super().take_model(model)
        if self.batch_loss is not None:
            self.batch_loss.take_model(model)

    def _make_loss(self, loss: Loss) -> BatchLoss:
        if self.is_fsdp_enabled:
            check_sharded_loss(loss)
        documents: Any = self.train_dataset
        model = plain_model(self.accelerator, self.model)
        return BatchLoss(
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
        """The model's own loss, or the one that was given; see `Trainer.compute_loss`."""
        if self.batch_loss is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        loss, outputs = self.batch_loss(model, inputs, num_items_in_batch)
        if num_items_in_batch is not None:
            loss = loss * self.args.world_size  # of whose gradients the mean is taken
        return (loss, outputs) if return_outputs else loss

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """How much all items of a step count together, in all processes."""
        if self.batch_loss is None or not batch_samples:
            return super()._get_num_items_in_batch(batch_samples, device)
        total = self.batch_loss.total_weight(batch_samples).to(device)
        return self.accelerator.gather(total[None]).sum()

    def take_row_lengths(self, documents: Documents, lengths: Sequence[RowLengths]) -> None:
        """Take the lengths of the training documents from somebody who encoded them with this trainer's processor.

        Args:
            documents: the very object that is the trainer's `train_dataset`; for any other they are not used.
            lengths: what `row_lengths` gives for each, in their order.
        """
        self._known_lengths = (documents, lengths)

    def get_train_dataloader(self) -> torch.utils.data.DataLoader[Any]:
        """Batches of windows; the documents are read through for their lengths, if that was not done before."""
        documents: Any = self.train_dataset
        if documents is None:
            return super().get_train_dataloader()  # which says that there is none
        if is_stream(documents):
            collator: Any = self.data_collator
            size = self._train_batch_size
            return stream_loader(documents, collator, self.args, batch_size=size, augmenter=self.augmenter)
        read = partial(training_windows, known_lengths=self._known_lengths, sample_weight=self.sample_weight)
        windows = read(documents, self.processor, augmenter=self.augmenter)
        self._check_last_batch(len(windows))
        return self._get_dataloader(
            windows,
            description="Training",
            batch_size=self._train_batch_size,
            sampler_fn=self._get_train_sampler,  # type: ignore[arg-type]  # None is taken too
            is_training=True,
        )

    def _check_last_batch(self, windows: int) -> None:
        """With `dataloader_drop_last`, fewer windows than a batch of all processes are no batch at all."""
        rows = self._train_batch_size * self.args.world_size
        if self.args.dataloader_drop_last and windows < rows:
            raise InvalidSpecError(
                f"training.dataloader_drop_last is true, but the training documents make {windows} window(s), and a "
                f"batch of all processes has {rows}: nothing would be left; leave it out, or reduce "
                "training.per_device_train_batch_size"
            )

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[Any] | None:
        """Like the Trainer's, but the order of an epoch does not depend on the epochs before it."""
        if isinstance(train_dataset, AugmentedWindows):
            return AugmentedEpochs(train_dataset, self._get_train_sampler, epoch=lambda: int(self.state.epoch or 0))
        grouped = self.args.train_sampling_strategy == "group_by_length"
        if self.balance is None and not grouped:
            sampler: torch.utils.data.Sampler[Any] | None = super()._get_train_sampler(train_dataset)
            return sampler
        step_rows = self._train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return epoch_order(
            train_dataset,
            step_rows=step_rows if grouped else None,
            seed=self.args.data_seed if self.args.data_seed is not None else self.args.seed,
            epoch=lambda: int(self.state.epoch or 0),
            balance=None if self.balance is None else (self.processor.task.needs, self.balance),
        )

    def evaluate(  # type: ignore[override]  # a Trainer's data set is of tensors, this one's is of Documents
        self,
        eval_dataset: Documents | Mapping[str, Documents] | None = None,
        ignore_keys: list[str] | None = None,  # noqa: ARG002 - there are no outputs to gather
        metric_key_prefix: str = "eval",
    ) -> dict[str, Any]:
        """Score the weights as they are now on documents with gold.

        Args:
            eval_dataset: documents, or several sets by name; `None` means the trainer's own.
            ignore_keys: not used; there are no outputs to gather.
            metric_key_prefix: what the names of the scores begin with.

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
        """Score the weights as they are now; every process predicts its share of the documents, each exactly once.

        Args:
            documents: with gold.
            keep: where to write the predictions that are scored, if anywhere.
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

    def predict(  # type: ignore[override]  # a Trainer's data set is of tensors, this one's is of Documents
        self,
        test_dataset: Documents,
        ignore_keys: list[str] | None = None,  # noqa: ARG002 - there are no outputs to gather
        metric_key_prefix: str = "test",
    ) -> PredictionOutput:
        """Predict documents with the current weights, and score them if all of them have gold.

        Args:
            test_dataset: documents.
            ignore_keys: not used; there are no outputs to gather.
            metric_key_prefix: what the names of the scores begin with.

        Returns:
            As of a `transformers.Trainer`: `predictions` are the documents with `predicted`, in their order, in every
            process; `label_ids` is `None`, since the gold is in the documents; `metrics` are the scores, each under
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
        """Predict documents with the current weights, as production would.

        Args:
            documents: their gold is not read, and kept.

        Returns:
            The documents with `predicted`, in their order, in every process.
        """
        count = self.args.world_size
        with self.serving() as predictor:
            predicted = predictor.predict(documents[self.args.process_index :: count])
        if count == 1:
            return predicted
        shares: list[list[Document]] = gather_object([predicted])
        return [shares[index % count][index // count] for index in range(len(documents))]
