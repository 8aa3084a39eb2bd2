"""Training from a few documents per label: contrastive tuning of the encoder, then a head that is fitted exactly.

The idea of SetFit (Tunstall et al., 2022, https://arxiv.org/abs/2209.11055): pairs of a few documents are many, so the
encoder learns from pairs which texts have a common label, and a logistic regression on its features learns the labels.
In place of single pairs with a similarity of 0 or 1, every text of a batch is compared with all others, by the
supervised contrastive loss (Khosla et al., 2020, https://arxiv.org/abs/2004.11362).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from random import Random
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers.trainer_utils import TrainOutput

from nlp_inference import Annotation
from nlp_inference.architectures.pooling import mean_of_tokens
from nlp_inference.encoding.input_rows import Example
from nlp_inference.errors import InvalidSpecError
from nlp_training.batches.streams import document_chunks
from nlp_training.config import FewShot
from nlp_training.gold import gold_kind
from nlp_training.losses.supervised_contrastive import contrast
from nlp_training.trainer.linear_head import fit_head, head_of
from nlp_training.trainer.trainer import DocumentTrainer

_ROWS_AT_ONCE = 64


class LabeledExample(NamedTuple):
    """One window of a training document, and the labels of the document."""

    example: Example
    labels: frozenset[str]


class FewShotTrainer(DocumentTrainer):
    """A trainer that tunes the encoder on pairs of documents and then fits the head of the model.

    `args.num_train_epochs`, `learning_rate`, `warmup_steps`, `lr_scheduler_type`, `weight_decay` and the batch size
    apply to the contrastive stage. Training takes seconds to minutes; it writes no checkpoints and starts again if it
    is resumed.

    Args:
        args, kwargs: as for `DocumentTrainer`.
        few_shot: the section of the config.

    Raises:
        InvalidSpecError: there are several processes, or the task has numbers in place of labels and the encoder is not
            frozen.
    """

    def __init__(self, *args: Any, few_shot: FewShot, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.few_shot = few_shot
        self._problem_type = self.processor.task.model_settings()["problem_type"]
        if self.args.world_size > 1:
            raise InvalidSpecError(f"few_shot trains in one process, but there are {self.args.world_size}; start one")
        if self._problem_type == "regression" and few_shot.encoder != "frozen":
            raise InvalidSpecError(
                f"few_shot.encoder is {few_shot.encoder!r}, which compares texts by their labels, but the task "
                f"{self.processor.task.name!r} has numbers; set few_shot: {{encoder: frozen}}"
            )

    def train(self, *_: Any, **__: Any) -> TrainOutput:
        """Train both stages; arguments of `Trainer.train`, such as a checkpoint, have no effect."""
        started = perf_counter()
        examples = self._examples()
        size = self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps
        epochs = 0 if self.few_shot.encoder == "frozen" else int(self.args.num_train_epochs)
        batches = [
            batch
            for epoch in range(epochs)
            for batch in contrastive_batches(examples, size=size, random=Random(f"{self.args.seed}:{epoch}"))  # noqa: S311
        ]
        self._begin(steps=len(batches), epochs=epochs)
        loss = self._tune(batches, epochs) if batches else 0.0
        self._fit(examples)
        seconds = perf_counter() - started
        self.log({"train_runtime": seconds, "train_loss": loss})
        self.control = self.callback_handler.on_train_end(self.args, self.state, self.control)
        return TrainOutput(self.state.global_step, loss, {"train_runtime": seconds, "train_loss": loss})

    def _examples(self) -> list[LabeledExample]:
        documents: Any = self.train_dataset
        kind = gold_kind(self.processor.task.needs)
        return [
            LabeledExample(example, frozenset(kind.labels(document.gold or Annotation())))
            for chunk in document_chunks(documents)
            for document, examples in zip(chunk, self.processor.examples(chunk, labels=True), strict=True)
            for example in examples
        ]

    def _begin(self, *, steps: int, epochs: int) -> None:
        self.state.max_steps, self.state.num_train_epochs, self.state.global_step = steps, epochs, 0
        self.state.is_local_process_zero = self.state.is_world_process_zero = True
        self.create_optimizer_and_scheduler(max(1, steps))
        self.control = self.callback_handler.on_train_begin(self.args, self.state, self.control)

    def _tune(self, batches: Sequence[Sequence[LabeledExample]], epochs: int) -> float:
        """Train the encoder on all batches, and return the mean loss."""
        model: Any = self.model
        optimizer: Any = self.optimizer
        scheduler: Any = self.lr_scheduler
        losses: list[float] = []
        per_epoch = len(batches) // epochs
        model.train()
        for step, batch in enumerate(batches, start=1):
            with self.compute_loss_context_manager():
                features = self._features(model, [one.example for one in batch])
                loss = contrast(
                    features.float(), positives(batch).to(features.device), temperature=self.few_shot.temperature
                ).mean()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.args.max_grad_norm)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            self.state.global_step, self.state.epoch = step, step / per_epoch
            self.control = self.callback_handler.on_step_end(self.args, self.state, self.control)
            if step % per_epoch == 0:
                self.log({"loss": sum(losses[-per_epoch:]) / per_epoch, "learning_rate": scheduler.get_last_lr()[0]})
        return sum(losses) / len(losses)

    def _fit(self, examples: Sequence[LabeledExample]) -> None:
        """Fit the head to the features of all examples, as the evaluation model computes them."""
        order = sorted(range(len(examples)), key=lambda index: -len(examples[index].example.row.input_ids))
        found: list[Tensor] = []
        with self._evaluation_model.of(self.accelerator, self.model) as model, torch.inference_mode():
            for start in range(0, len(order), _ROWS_AT_ONCE):
                part = [examples[index].example for index in order[start : start + _ROWS_AT_ONCE]]
                found.append(self._features(model, part).float().cpu())
        targets = [torch.as_tensor(examples[index].example.targets["labels"]) for index in order]
        head = head_of(self.model)
        fitted = fit_head(
            torch.cat(found).clone(),
            torch.stack(targets),
            labels=head.out_features,
            problem_type=self._problem_type,
            l2=self.few_shot.l2,
        )
        with torch.no_grad():
            head.weight.copy_(fitted.weight)
            head.bias.copy_(fitted.bias)

    def _features(self, model: Any, examples: Sequence[Example]) -> Tensor:
        """Return `[rows, hidden]`, the mean over the tokens of what the head reads."""
        read: list[Tensor] = []
        handle = head_of(model).register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
        batch = self.processor.collate([one.row for one in examples], return_tensors="pt").to(self.args.device)
        try:
            model(**batch)
        finally:
            handle.remove()
        return mean_of_tokens(read[0], batch["attention_mask"]) if read[0].ndim == 3 else read[0]


def contrastive_batches(
    examples: Sequence[LabeledExample], *, size: int, random: Random
) -> Iterator[list[LabeledExample]]:
    """Yield the batches of an epoch: each example once, and next to it another one with a common label.

    An example that is alone with its labels is its own partner, which differs by dropout.

    Args:
        examples: the examples; those without a label are only compared with others.
        size: rows of a batch; the last one may be smaller.
        random: draws order and partners.

    Example:
        >>> one, other = (LabeledExample(None, frozenset("a")) for _ in range(2))
        >>> [[len(batch) for batch in contrastive_batches([one, other], size=4, random=Random(0))]]
        [[4]]
    """
    by_label: dict[str, list[int]] = defaultdict(list)
    for index, one in enumerate(examples):
        for label in one.labels:
            by_label[label].append(index)
    order = random.sample(range(len(examples)), len(examples))
    half = max(1, size // 2)
    for start in range(0, len(order), half):
        batch = []
        for index in order[start : start + half]:
            labels = sorted(examples[index].labels)
            others = [other for other in by_label[random.choice(labels)] if other != index] if labels else []
            batch += [index, random.choice(others) if others else index]
        yield [examples[index] for index in batch]


def positives(batch: Sequence[LabeledExample]) -> Tensor:
    """Return `[rows, rows]`: whether two rows have a common label, or are the same one without a label."""
    return torch.tensor([[bool(one.labels & other.labels) or one is other for other in batch] for one in batch])
