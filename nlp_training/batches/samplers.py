"""Samplers of the windows of an epoch, with balancing of rare labels."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler

from nlp_inference import Annotation, Document
from nlp_inference.errors import InvalidSpecError
from nlp_inference.registry import Spec
from nlp_training.batches.augmented_epochs import EpochPlan
from nlp_training.batches.window_dataset import LengthGroupedEpochs, TrainingWindows, length_grouped_order
from nlp_training.data.sources import MIX_WEIGHT
from nlp_training.gold import gold_kind


def balancing_weights(documents: Sequence[Document], *, needs: Spec, power: float) -> list[float]:
    """Return the sampling weight of each document, which is higher for rare labels.

    The weight is `n^-power`, where `n` is the number of documents with the rarest label of the document. Documents
    without labels count as a label of their own. The weight of a document of a mix is multiplied by that of the mix.

    Args:
        documents: documents with gold.
        needs: the kind of gold that has the labels.
        power: 1 makes the labels of categories equally frequent; 0.5 is a compromise (square-root sampling, Mahajan et
            al., 2018, https://arxiv.org/abs/1805.00932).

    Example:
        >>> from nlp_inference import Annotation, Category
        >>> gold = [Annotation(categories=(Category(label=label),)) for label in ("ham", "ham", "spam")]
        >>> balancing_weights([Document(raw_text="", gold=one) for one in gold], needs="category", power=1.0)
        [0.5, 0.5, 1.0]
    """
    labels = [_labels(document, needs=needs) for document in documents]
    counts = Counter(label for of_document in labels for label in of_document)
    return [
        max(counts[label] ** -power for label in of_document) * mix_weight(document)
        for of_document, document in zip(labels, documents, strict=True)
    ]


def mix_weight(document: Document) -> float:
    """Return the sampling weight of a document of a mix of sources; 1 for others. See `DataSource.mix`."""
    weight: Any = document.metadata.get(MIX_WEIGHT, 1.0)
    return float(weight)


def is_mixed(documents: Iterable[Document]) -> bool:
    """Return whether documents are from sources that are mixed by shares."""
    return any(MIX_WEIGHT in document.metadata for document in documents)


def check_not_mixed(documents: Iterable[Document]) -> None:
    """Raise an error for mixed sources, whose windows are drawn by their shares and not by document.

    Raises:
        InvalidSpecError: documents are from sources that are mixed by shares.
    """
    if is_mixed(documents):
        raise InvalidSpecError(
            "sampling.windows_per_document cannot be combined with data.train.mix, which draws windows by the shares "
            "of sources; remove one of the two"
        )


def epoch_order(
    windows: TrainingWindows | EpochPlan,
    *,
    step_rows: int | None,
    seed: int,
    epoch: Callable[[], int],
    balance: tuple[Spec, float] | None = None,
) -> Sampler[int]:
    """Return the sampler of the windows of each epoch, which depends only on seed and epoch.

    Args:
        windows: the training windows.
        step_rows: rows of a step, which have similar lengths; `None` shuffles all rows.
        seed: the seed of the order.
        epoch: returns the epoch that starts, counted from 0.
        balance: the kind of gold that has the labels, and the power of `balancing_weights`; `None` uses each window
            once.
    """
    if balance is not None:
        needs, power = balance
        weights = windows.of_windows(balancing_weights(windows.documents, needs=needs, power=power))
        return BalancedEpochs(weights, step_rows=step_rows, lengths=windows.lengths, seed=seed, epoch=epoch)
    if isinstance(windows, TrainingWindows) and windows.per_document is not None:
        return SampledEpochs(windows, step_rows=step_rows, seed=seed, epoch=epoch)
    return LengthGroupedEpochs(step_rows or 1, lengths=windows.lengths, seed=seed, epoch=epoch)


class SampledEpochs(Sampler[int]):
    """`per_document` random windows of each longer document, other ones in each epoch.

    Args:
        windows: the training windows.
        step_rows: rows of a step, which have similar lengths; `None` shuffles all rows.
        seed: the seed of the sample and its order.
        epoch: returns the epoch that starts, counted from 0.
    """

    def __init__(self, windows: TrainingWindows, *, step_rows: int | None, seed: int, epoch: Callable[[], int]) -> None:
        self.windows = windows
        self.step_rows = step_rows
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return self.windows.epoch_size

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch())
        chosen = self.windows.sample(generator)
        if self.step_rows is None:
            return iter([chosen[index] for index in torch.randperm(len(chosen), generator=generator).tolist()])
        lengths = torch.tensor([self.windows.lengths[index] for index in chosen])
        return iter([chosen[index] for index in length_grouped_order(lengths, self.step_rows, generator)])


class BalancedEpochs(Sampler[int]):
    """A weighted sample of as many windows as there are; it depends only on seed and epoch.

    A window whose weight is `w` times the mean is drawn `w` times in every epoch, rounded down or up (systematic
    sampling: Madow and Madow, 1944, https://doi.org/10.1214/aoms/1177731312). A resumed run draws the same windows.

    Args:
        weights: the weight of each window.
        step_rows: rows of a step, which have similar lengths; `None` shuffles all rows.
        lengths: tokens of each window.
        seed: the seed of the sample and its order.
        epoch: returns the epoch that starts, counted from 0.

    Example:
        >>> sampler = BalancedEpochs([1, 1, 2], step_rows=None, lengths=[5, 5, 5], seed=0, epoch=lambda: 0)
        >>> len(list(sampler)), 2 in sampler
        (3, True)
    """

    def __init__(
        self,
        weights: Sequence[float],
        *,
        step_rows: int | None,
        lengths: Sequence[int],
        seed: int,
        epoch: Callable[[], int],
    ) -> None:
        self.weights = torch.tensor(weights, dtype=torch.float64)
        self.step_rows = step_rows
        self.lengths = list(lengths)
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.weights)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch())
        ends = self.weights.cumsum(0)
        size = len(self)
        points = (torch.arange(size) + torch.rand((), dtype=torch.float64, generator=generator)) * (ends[-1] / size)
        drawn = torch.searchsorted(ends, points, right=True).clamp(max=size - 1).tolist()
        if self.step_rows is None:
            return iter([drawn[index] for index in torch.randperm(size, generator=generator).tolist()])
        lengths = [self.lengths[window] for window in drawn]
        order = LengthGroupedEpochs(self.step_rows, lengths=lengths, seed=self.seed, epoch=self.epoch)
        return iter([drawn[index] for index in order])


def _labels(document: Document, *, needs: Spec) -> set[str | None]:
    return set(gold_kind(needs).labels(document.gold or Annotation())) or {None}
