"""A linear head that is fitted to fixed features, such as a logistic regression."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nlp_inference.errors import InvalidSpecError

_ITERATIONS = 500


class LinearHead(NamedTuple):
    """Weights `[labels, hidden]` and biases `[labels]`."""

    weight: Tensor
    bias: Tensor


def _classes(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits, targets, reduction="sum")


def _labels(logits: Tensor, targets: Tensor) -> Tensor:
    known = ~targets.isnan()
    return functional.binary_cross_entropy_with_logits(logits[known], targets[known].to(logits), reduction="sum")


def _numbers(logits: Tensor, targets: Tensor) -> Tensor:
    known = ~targets.isnan()
    return functional.mse_loss(logits[known], targets[known].to(logits), reduction="sum")


_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "single_label_classification": _classes,
    "multi_label_classification": _labels,
    "regression": _numbers,
}
"""The sum of the losses of all targets that are not NaN, by the problem type of transformers."""


def fit_head(features: Tensor, targets: Tensor, *, labels: int, problem_type: str, l2: float) -> LinearHead:
    """Minimize the sum of the losses plus `l2 / 2` times the squared weights, with features of mean length 1.

    For classes this is the logistic regression of scikit-learn with `C = 1 / l2`.

    Args:
        features: `[rows, hidden]`.
        targets: `[rows]`, class ids, or `[rows, labels]`, NaN where there is none.
        labels: number of outputs.
        problem_type: `single_label_classification`, `multi_label_classification` or `regression`, as in transformers.
        l2: the weight of the squared weights.

    Example:
        >>> features = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> head = fit_head(features, torch.tensor([0, 1]), labels=2, problem_type="single_label_classification", l2=1)
        >>> (features @ head.weight.T + head.bias).argmax(dim=1).tolist()
        [0, 1]
    """
    length = features.double().norm(dim=1).mean().clamp(min=1e-12)
    rows = features.double() / length
    weight = torch.zeros(labels, rows.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(labels, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=_ITERATIONS, tolerance_grad=1e-6, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = _LOSSES[problem_type](rows @ weight.T + bias, targets) + l2 / 2 * (weight**2).sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch's
    return LinearHead((weight / length).detach().float(), bias.detach().float())


def head_of(model: Any) -> nn.Linear:
    """Return the last linear layer of a model with one output per label.

    Raises:
        InvalidSpecError: the model has none.
    """
    heads = [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear) and module.out_features == model.config.num_labels and module.bias is not None
    ]
    if not heads:
        raise InvalidSpecError(
            f"{type(model).__name__} has no linear head with a bias for its {model.config.num_labels} labels, which "
            "few_shot fits; choose another base model"
        )
    return heads[-1]
