"""Checks of a custom loss on random items in double precision and on confident predictions."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nlp_inference.testing._laws import attempt, check_name, failed
from nlp_training.losses import Items, Loss
from nlp_training.losses.base import NEEDS

_CLASSES, _STATES = 4, 5
_SIZES = (1, 2, 7)
_CERTAIN = 100.0
_WEIGHTS = (0.5, 2.0, 1.0, 0.25)
_MOVING = ("logits", "second_logits", "states")
"""The inputs that depend on the weights of the model, for which a loss has gradients."""


def check_loss(loss: Loss, *, seed: int = 0) -> None:
    """Check all laws of a custom loss.

    The laws: it is registered by its name, survives JSON and can be pickled; it reads only what `needs` names; it
    returns one finite value and one weight that is not negative for each item; its gradients match finite differences
    in double precision, and are finite for confident predictions; the same items give the same values, independently of
    earlier calls; their order does not matter; it changes nothing in place; a correct model has no greater loss than a
    wrong one; and if it weights classes, only the ratios of the class weights matter.

    Args:
        loss: an instance of the custom class.
        seed: the seed of the random items.

    Raises:
        CheckFailedError: a law is broken; the message names it and what happened.

    Example:
        >>> from nlp_training.losses import Focal
        >>> check_loss(Focal(gamma=2))
    """
    check_name(loss, Loss)
    random = torch.Generator().manual_seed(seed)
    for size in _SIZES:
        items = _items(loss, size, random)
        _check_values(loss, items)
        _check_gradient(loss, items)
    if loss.class_weighting() is not None and not loss.multi_label:  # weights of present labels are not in the count
        _check_class_weights(loss, _items(loss, _SIZES[-1], random))
    _check_certainty(loss, random)


def _items(loss: Loss, size: int, random: torch.Generator) -> Items:
    shape = (size,) if loss.multi_label or loss.numeric else (size, _CLASSES)
    draw = {
        "second_logits": torch.randn(shape, generator=random, dtype=torch.float64) * 2,
        "teacher_logits": torch.randn(shape, generator=random, dtype=torch.float64) * 2,
        "states": torch.randn((size, _STATES), generator=random, dtype=torch.float64),
    }
    needs = {need for part in loss.parts() for need in part.needs}
    known: dict[str, Any] = {name: value for name, value in draw.items() if name in needs}
    others = sorted(needs.difference(NEEDS))
    targets = torch.arange(size) % (2 if loss.multi_label else _CLASSES - 1)
    return Items(
        torch.randn(shape, generator=random, dtype=torch.float64) * 2,
        targets.double() if loss.multi_label or loss.numeric else targets,
        outputs={name: torch.randn((size, _STATES), generator=random, dtype=torch.float64) for name in others},
        **known,
    )


def _check_values(loss: Loss, items: Items) -> None:
    before = [one.clone() for one in _tensors(items)]
    values = _values(loss, items)
    if any(not torch.equal(one, kept) for one, kept in zip(_tensors(items), before, strict=True)):
        raise failed(loss, "it changes nothing in place", "a tensor of the items has changed")
    law = "the same items give the same values, independently of earlier calls"
    _values(loss, replace(items, logits=items.logits.flip(0) * 3))
    if not torch.equal(_values(loss, items), values):
        raise failed(
            loss, law, "they differed in the second call; draw nothing at random in `values`, and keep no state"
        )
    order = torch.arange(len(values)).flip(0)
    moved = _values(loss, _reordered(items, order))
    if not torch.allclose(moved, values[order], rtol=1e-9, atol=1e-12):
        raise failed(
            loss, "the order of the items does not matter", f"{values.tolist()} became {moved.flip(0).tolist()}"
        )
    weights = attempt(loss, "it weighs every item", loss.weights, items.targets, None)
    _check_numbers(loss, "weights", weights, len(items.targets))
    if bool((weights < 0).any()):
        raise failed(loss, "no weight is negative", f"`weights` gave {weights.tolist()}")


def _values(loss: Loss, items: Items) -> Tensor:
    law = "it reads only what `needs` names, and raises no error for any items"
    values = attempt(loss, law, loss.values, items)
    _check_numbers(loss, "values", values, len(items.targets))
    return values


def _check_numbers(loss: Loss, method: str, found: Any, size: int) -> None:
    law = "it gives one finite number for each item"
    if not isinstance(found, Tensor) or found.shape != (size,):
        got = f"a tensor of shape {list(found.shape)}" if isinstance(found, Tensor) else repr(found)[:100]
        raise failed(
            loss, law, f"`{method}` gave {got} for {size} items, expected shape [{size}]; take no mean yourself"
        )
    if not bool(torch.isfinite(found).all()):
        raise failed(loss, law, f"`{method}` gave {found.tolist()}; take logarithms of probabilities by log_softmax")


def _check_gradient(loss: Loss, items: Items) -> None:
    law = "its gradients are those of its values"
    names = [name for name in _MOVING if getattr(items, name) is not None]
    inputs = [getattr(items, name).clone().requires_grad_() for name in names]

    def of(*moved: Tensor) -> Tensor:
        changed: dict[str, Any] = dict(zip(names, moved, strict=True))
        return loss.values(replace(items, **changed))

    if not of(*inputs).requires_grad:
        raise failed(loss, law, "its values do not depend on the model; compute them from the items with torch only")
    attempt(loss, law, lambda: torch.autograd.gradcheck(of, inputs, raise_exception=True))


def _check_class_weights(loss: Loss, items: Items) -> None:
    law = "multiplying all class weights by the same number does not change the mean"
    means = []
    for factor in (1.0, 3.0):
        weighted = replace(items, class_weights=torch.tensor(_WEIGHTS, dtype=torch.float64) * factor)
        weights = attempt(loss, law, loss.weights, items.targets, weighted.class_weights)
        means.append(float(_values(loss, weighted).sum() / weights.sum()))
    if abs(means[0] - means[1]) > 1e-9 * max(1.0, abs(means[0])):
        raise failed(
            loss, law, f"it became {means[1]} from {means[0]}; weigh in `values` as in `weights`, or in neither"
        )


def _check_certainty(loss: Loss, random: torch.Generator) -> None:
    items = _items(loss, _SIZES[-1], random)
    of_logits = loss.multi_label or loss.numeric
    classes = items.targets if of_logits else torch.nn.functional.one_hot(items.targets, _CLASSES)
    target_logits = classes * 2 - 1
    if items.teacher_logits is not None:
        items = replace(items, teacher_logits=target_logits.double())
    totals = {}
    for name, sign in (("right", 1.0), ("wrong", -1.0)):
        logits = (target_logits * sign * _CERTAIN).float().requires_grad_()
        second = None if items.second_logits is None else logits
        certain = replace(items, logits=logits, second_logits=second)
        values = _values(loss, _in_float(certain))
        totals[name] = float(values.detach().sum())
        (gradient,) = torch.autograd.grad(values.sum(), logits, allow_unused=True)
        if not _is_finite(gradient):
            raise failed(
                loss, "its gradients are finite for confident predictions", f"for a model that is {name}: {gradient}"
            )
    if totals["right"] > totals["wrong"] + 1e-6:
        raise failed(
            loss, "a model that is right has no greater loss than one that is wrong", f"{totals}; is a sign off?"
        )


def _is_finite(gradient: Tensor | None) -> bool:
    return gradient is None or bool(torch.isfinite(gradient).all())


def _in_float(items: Items) -> Items:
    names = [name for name in ("teacher_logits", "states") if getattr(items, name) is not None]
    targets = items.targets.float() if items.targets.is_floating_point() else items.targets
    changed: dict[str, Any] = {name: getattr(items, name).float() for name in names}
    outputs = {name: tensor.float() for name, tensor in items.outputs.items()}
    return replace(items, targets=targets, outputs=outputs, **changed)


def _tensors(items: Items) -> list[Tensor]:
    named = (items.logits, items.targets, items.second_logits, items.teacher_logits, items.states)
    return [*(one for one in named if one is not None), *items.outputs.values()]


def _reordered(items: Items, order: Tensor) -> Items:
    names = [name for name in (*_MOVING, "teacher_logits") if getattr(items, name) is not None]
    changed: dict[str, Any] = {name: getattr(items, name)[order] for name in names}
    outputs = {name: tensor[order] for name, tensor in items.outputs.items()}
    return replace(items, targets=items.targets[order], outputs=outputs, **changed)
