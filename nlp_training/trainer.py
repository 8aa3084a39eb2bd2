"""A Hugging Face Trainer whose data are Documents and whose evaluation is the Predictor."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Literal

import torch
from accelerate.utils import gather_object
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler

from nlp_inference import Document, Predictor, Processor
from nlp_inference.backends.torch import TorchBackend
from nlp_training.collator import DocumentCollator
from nlp_training.evaluation import predict_beside_gold, score

Documents = Sequence[Document]


class DocumentTrainer(Trainer):
    """Trains on Documents, and evaluates as production predicts.

    Batches are made by the processor that is saved with the model. `evaluate` strips the gold, predicts with a
    `Predictor`, in the precision of the weights, and compares Documents.

    Args:
        model: what is trained; a transformers model.
        args: as everywhere; `train_sampling_strategy="group_by_length"` puts documents of like length together.
        processor: encodes and decodes; saved with every checkpoint.
        train_dataset: documents with gold.
        eval_dataset: documents with gold, or several such sets by name.
        callbacks: further callbacks.
        training_attention: attention implementation while training, if it is not to be the model's own, which
            evaluation takes.
    """

    def __init__(
        self,
        model: PreTrainedModel | torch.nn.Module,
        args: TrainingArguments,
        *,
        processor: Processor,
        train_dataset: Documents | None = None,
        eval_dataset: Documents | Mapping[str, Documents] | None = None,
        callbacks: Sequence[TrainerCallback] = (),
        training_attention: str | None = None,
    ) -> None:
        args.remove_unused_columns = False  # a Document has no columns
        super().__init__(
            model=model,
            args=args,
            data_collator=DocumentCollator(processor),  # type: ignore[arg-type]  # a BatchFeature is a mapping
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processor,
            callbacks=list(callbacks),
        )
        self.processor = processor
        self._attention = {
            "serving": getattr(model.config, "_attn_implementation", None),
            "training": training_attention,
        }
        self._use_attention("training")

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[int] | None:
        """Like the Trainer's, but a Document's length is that of its tokens."""
        documents: Any = self.train_dataset if train_dataset is None else train_dataset
        if self.args.train_sampling_strategy != "group_by_length":
            sampler: torch.utils.data.Sampler[int] | None = super()._get_train_sampler(train_dataset)
            return sampler
        lengths = [len(encoded.token_ids) for encoded in self.processor.encode(documents)]
        generator = torch.Generator()
        generator.manual_seed(self.args.data_seed if self.args.data_seed is not None else self.args.seed)
        return LengthGroupedSampler(
            self.args.train_batch_size * self.args.gradient_accumulation_steps, lengths=lengths, generator=generator
        )

    def _use_attention(self, purpose: Literal["serving", "training"]) -> None:
        implementation = self._attention[purpose]
        if self._attention["training"] is not None and implementation is not None:
            self.accelerator.unwrap_model(self.model).set_attn_implementation(implementation)

    @contextmanager
    def serving(self) -> Iterator[Predictor]:
        """The weights as they are now, as production would run them; training goes on as before afterwards."""
        model = self.accelerator.unwrap_model(self.model)
        autocasting_forward = vars(model).pop("forward", None)  # accelerate's, for training only
        self._use_attention("serving")
        was_training = model.training
        try:
            yield Predictor(self.processor, TorchBackend(model.eval(), outputs=tuple(self.processor.task.outputs)))
        finally:
            model.train(was_training)
            self._use_attention("training")
            if autocasting_forward is not None:
                model.forward = autocasting_forward

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
        started = perf_counter()
        scores = self.score_documents(documents)
        seconds = perf_counter() - started
        scores |= {"runtime": seconds, "documents_per_second": len(documents) / max(seconds, 1e-9)}
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in scores.items()}
        self.log({name: value for name, value in metrics.items() if isinstance(value, float)})
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def score_documents(self, documents: Documents) -> dict[str, Any]:
        """Score the weights as they are now; every process predicts its share of the documents, each exactly once."""
        share = documents[self.args.process_index :: self.args.world_size]
        needs = self.processor.task.needs
        with self.serving() as predictor:
            pairs = predict_beside_gold(predictor, share)
            return score(pairs if self.args.world_size == 1 else gather_object(list(pairs)), needs=needs)
