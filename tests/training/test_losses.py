"""Every loss against its formula in double precision, and its slope against finite differences."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from nlp_inference import Processor
from nlp_inference.errors import InvalidSpecError, UnknownTypeError
from nlp_training.losses import ClassWeights, Items, Loss

GENERATOR = torch.Generator().manual_seed(7)
LOGITS, SECOND, TEACHER = torch.randn(3, 6, 4, generator=GENERATOR, dtype=torch.float64) * 3
STATES = torch.randn(6, 5, generator=GENERATOR, dtype=torch.float64)
IDS = torch.tensor([0, 1, 2, 1, 0, 1])  # class 2 has one item, class 3 none
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 0.25], dtype=torch.float64)
PRESENT = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0, 0.0], dtype=torch.float64)

ITEMS = Items(LOGITS, IDS, None, SECOND, TEACHER, STATES)
WEIGHTED = Items(LOGITS, IDS, WEIGHTS, SECOND, TEACHER, STATES)
BINARY = Items(LOGITS[:, 0], PRESENT)

p = np.exp(LOGITS.numpy()) / np.exp(LOGITS.numpy()).sum(axis=1, keepdims=True)
w = WEIGHTS.numpy()[IDS.numpy()]
p_y = p[np.arange(6), IDS.numpy()]


def softmax(logits: torch.Tensor, temperature: float = 1.0) -> Any:
    powers = np.exp(logits.numpy() / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def kl(one: Any, other: Any) -> Any:
    return (one * np.log(one / other)).sum(axis=1)


def dice(g: float) -> Any:
    y = np.eye(4)[IDS.numpy()]
    return (1 - (2 * p * y + g) / (p**2 + y**2 + g)).sum(axis=1)


def self_adjusting_dice(alpha: float, g: float) -> Any:
    y, q = np.eye(4)[IDS.numpy()], (1 - p) ** alpha * p
    return (1 - (2 * q * y + g) / (q + y + g)).sum(axis=1)


def tversky(alpha: float, beta: float, g: float, *, classes: slice = slice(0, 4)) -> Any:
    y = np.eye(4)[IDS.numpy()]
    terms = 1 - (p * y + g) / (p * y + alpha * p * (1 - y) + beta * (1 - p) * y + g)
    return terms[:, classes].sum(axis=1)


def asymmetric(negative: float, positive: float, margin: float) -> Any:
    found, y = 1 / (1 + np.exp(-LOGITS[:, 0].numpy())), PRESENT.numpy()
    q = np.maximum(found - margin, 0)
    return -y * (1 - found) ** positive * np.log(found) - (1 - y) * q**negative * np.log(1 - q)


def contrast(temperature: float) -> Any:
    z = STATES.numpy() / np.linalg.norm(STATES.numpy(), axis=1, keepdims=True)
    result = np.zeros(6)
    for i in range(6):
        alike = [j for j in range(6) if j != i and IDS[j] == IDS[i]]
        below = sum(np.exp(z[i] @ z[k] / temperature) for k in range(6) if k != i)
        for j in alike:
            result[i] -= np.log(np.exp(z[i] @ z[j] / temperature) / below) / len(alike)
    return result


def smoothed(share: float, weights: Any) -> Any:
    y = np.eye(4)[IDS.numpy()] * (1 - share) + share / 4
    return -(y * weights * np.log(p)).sum(axis=1)


first, second = -np.log(p_y), -np.log(softmax(SECOND)[np.arange(6), IDS.numpy()])
agreement = (kl(p, softmax(SECOND)) + kl(softmax(SECOND), p)) / 2
soft = kl(softmax(TEACHER, 3.0), softmax(LOGITS, 3.0)) * 9

REFERENCES = [
    ("cross_entropy", ITEMS, first),
    ("cross_entropy", WEIGHTED, w * first),
    ({"cross_entropy": 0.2}, ITEMS, smoothed(0.2, np.ones(4))),
    ({"cross_entropy": 0.2}, WEIGHTED, smoothed(0.2, WEIGHTS.numpy())),
    ({"focal": 0}, WEIGHTED, w * first),
    ({"focal": 0.5}, ITEMS, (1 - p_y) ** 0.5 * first),
    ({"focal": 2}, WEIGHTED, w * (1 - p_y) ** 2 * first),
    ("dice", ITEMS, dice(1.0)),
    ({"dice": 0.01}, ITEMS, dice(0.01)),
    ({"dice": {"self_adjusting": 0.3}}, ITEMS, self_adjusting_dice(0.3, 1.0)),
    ({"dice": {"self_adjusting": 2, "smoothing": 0.01}}, ITEMS, self_adjusting_dice(2, 0.01)),
    ("tversky", ITEMS, tversky(0.3, 0.7, 1.0)),
    ({"tversky": {"alpha": 0.9, "beta": 0, "smoothing": 0.01}}, ITEMS, tversky(0.9, 0, 0.01)),
    ({"tversky": {"background": 0}}, ITEMS, tversky(0.3, 0.7, 1.0, classes=slice(1, 4))),
    ({"mixup": {"loss": {"focal": 2}}}, WEIGHTED, w * (1 - p_y) ** 2 * first),
    ("asymmetric", BINARY, asymmetric(4, 0, 0.05)),
    ({"asymmetric": {"gamma_negative": 3, "gamma_positive": 1.5, "margin": 0}}, BINARY, asymmetric(3, 1.5, 0)),
    ({"r_drop": 4}, ITEMS, (first + second) / 2 + 4 * agreement),
    ({"r_drop": 4}, WEIGHTED, w * ((first + second) / 2 + 4 * agreement)),
    ({"distillation": {"teacher": "t", "temperature": 3, "mix": 0.3}}, ITEMS, 0.7 * first + 0.3 * soft),
    ({"distillation": {"teacher": "t", "temperature": 3, "mix": 1}}, WEIGHTED, w * soft),
    ({"supervised_contrastive": {"mix": 1}}, ITEMS, contrast(0.1)),
    ({"supervised_contrastive": {"temperature": 0.5, "mix": 0.2}}, WEIGHTED, w * (0.8 * first + 0.2 * contrast(0.5))),
    (
        {"r_drop": {"alpha": 2, "loss": {"supervised_contrastive": {"mix": 0.5, "loss": {"focal": 2}}}}},
        ITEMS,
        (0.5 * (1 - p_y) ** 2 * first + 0.5 * (1 - np.exp(-second)) ** 2 * second + contrast(0.1)) / 2 + 2 * agreement,
    ),
]


def shown(value: Any) -> str:
    return str(value) if isinstance(value, str | dict | float) else "weighted" if value is WEIGHTED else ""


@pytest.mark.parametrize(("spec", "items", "expected"), REFERENCES, ids=shown)
def test_values_are_those_of_the_formula(spec: Any, items: Items, expected: Any) -> None:
    values = Loss.from_spec(spec).values(items)
    assert values.dtype == torch.float64
    np.testing.assert_allclose(values.numpy(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("spec", "items"), [case[:2] for case in REFERENCES], ids=shown)
def test_slopes_are_those_of_the_values(spec: Any, items: Items) -> None:
    loss = Loss.from_spec(spec)
    logits, second, states = (
        None if one is None else one.clone().requires_grad_()
        for one in (items.logits, items.second_logits, items.states)
    )

    def of(*inputs: torch.Tensor) -> torch.Tensor:
        return loss.values(
            Items(inputs[0], items.targets, items.class_weights, *inputs[1:2], items.teacher_logits, *inputs[2:])
        )

    if second is None or states is None:
        assert torch.autograd.gradcheck(lambda one: loss.values(Items(one, items.targets)), (logits,))
    else:
        assert torch.autograd.gradcheck(of, (logits, second, states))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_weighted_mean_is_the_one_of_torch(smoothing: float) -> None:
    loss = Loss.from_spec({"cross_entropy": smoothing})
    mean = loss.values(WEIGHTED).sum() / loss.weights(IDS, WEIGHTS).sum()
    expected = functional.cross_entropy(LOGITS, IDS, weight=WEIGHTS, label_smoothing=smoothing)
    torch.testing.assert_close(mean, expected, rtol=1e-12, atol=0)


def test_without_its_settings_the_asymmetric_loss_is_binary_cross_entropy() -> None:
    plain = Loss.from_spec({"asymmetric": {"gamma_negative": 0, "margin": 0}})
    expected = functional.binary_cross_entropy_with_logits(LOGITS[:, 0], PRESENT, reduction="none")
    torch.testing.assert_close(plain.values(BINARY), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("g", [1.0, 0.01])
def test_tversky_with_equal_weights_and_dice_without_squares_are_one_coefficient(g: float) -> None:
    """TP / (TP + FP / 2 + FN / 2) is 2 TP / (predicted + there); the smoothing counts double there."""
    halves = Loss.from_spec({"tversky": {"alpha": 0.5, "beta": 0.5, "smoothing": g}}).values(ITEMS)
    dice_values = Loss.from_spec({"dice": {"self_adjusting": 0, "smoothing": 2 * g}}).values(ITEMS)
    torch.testing.assert_close(halves, dice_values, rtol=1e-12, atol=0)


def test_without_the_background_beta_weighs_what_is_missed_and_alpha_what_is_spurious() -> None:
    unsure, missed_and_spurious = torch.zeros(2, 2), torch.tensor([1, 0])
    missed, spurious = (
        Loss.from_spec({"tversky": {"alpha": alpha, "beta": beta, "background": 0}})
        .values(Items(unsure, missed_and_spurious))
        .tolist()
        for alpha, beta in ((0, 1), (1, 0))
    )
    assert missed == [pytest.approx(1 - 1.5 / 2), 0]
    assert spurious == [0, pytest.approx(1 - 1 / 1.5)]


def test_the_self_adjusting_factor_is_best_short_of_certainty() -> None:
    """What its docstring says: at 1 / (1 + alpha), here 2 / 3."""
    chances = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    logits = torch.stack([chances.log(), (1 - chances).log()], dim=1)
    q = (1 - chances) ** 0.5 * chances
    assert chances[q.argmax()].item() == pytest.approx(2 / 3, abs=0.005)
    only_there = 1 - (2 * q + 1) / (q + 2)
    absent = 1 - 1 / (chances**0.5 * (1 - chances) + 1)
    values = Loss.from_spec({"dice": {"self_adjusting": 0.5}}).values(Items(logits, torch.zeros(99, dtype=torch.int64)))
    torch.testing.assert_close(values, only_there + absent, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("spec", "items"), [case[:2] for case in REFERENCES], ids=shown)
@pytest.mark.parametrize("size", [200.0, -200.0])
def test_values_and_slopes_stay_finite_where_a_model_is_certain(spec: Any, items: Items, size: float) -> None:
    logits = torch.zeros(items.logits.shape)
    first_class = logits if logits.ndim == 1 else logits[:, 0]
    first_class[[0, 3]] = size
    logits.requires_grad_()
    certain = Items(logits, items.targets, None, logits * 0.5, -logits.detach(), torch.ones(6, 5))
    values = Loss.from_spec(spec).values(certain)
    values.sum().backward()
    assert torch.isfinite(values).all()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("spec", [case[0] for case in REFERENCES if case[1] is ITEMS], ids=str)
def test_no_items_have_no_loss(spec: Any) -> None:
    none = Items(*(tensor[:0] for tensor in (LOGITS, IDS)), None, SECOND[:0], TEACHER[:0], STATES[:0])
    assert Loss.from_spec(spec).values(none).shape == (0,)


def test_an_item_alone_has_nothing_to_lie_beside() -> None:
    states = STATES[:1].clone().requires_grad_()
    Loss.from_spec({"supervised_contrastive": {"mix": 1}}).values(
        Items(LOGITS[:1], IDS[:1], states=states)
    ).sum().backward()
    assert states.grad is not None
    assert states.grad.tolist() == [[0.0] * 5]


@pytest.mark.parametrize(
    ("spec", "counts", "expected"),
    [
        ("inverse_frequency", [6, 3, 0, 3], [12 / (3 * 6), 12 / (3 * 3), 0, 12 / (3 * 3)]),
        ({"effective_number": 0}, [6, 3, 0, 3], [1, 1, 0, 1]),
        ({"effective_number": 0.9}, [2, 1], [2 * 0.1 / 0.19 / (0.1 / 0.19 + 1), 2 / (0.1 / 0.19 + 1)]),
    ],
    ids=str,
)
def test_class_weights_by_hand(spec: Any, counts: list[int], expected: list[float]) -> None:
    np.testing.assert_allclose(ClassWeights.from_spec(spec).weights(np.array(counts)), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "spec",
    [
        "cross_entropy",
        {"cross_entropy": {"class_weights": {"effective_number": 0.99}}},
        {"focal": {"gamma": 1.0, "class_weights": "inverse_frequency"}},
        "dice",
        {"dice": {"self_adjusting": 0.1}},
        {"tversky": {"alpha": 0.2, "background": 0}},
        {"mixup": {"probability": 0.5, "loss": {"focal": 3.0}}},
        {"asymmetric": {"margin": 0.1}},
        {"r_drop": {"alpha": 2.0, "loss": {"distillation": {"teacher": "t", "loss": "dice"}}}},
        {"supervised_contrastive": {"pooling": "first"}},
    ],
    ids=str,
)
def test_a_specification_comes_back(spec: Any) -> None:
    loss = Loss.from_spec(spec)
    assert loss.to_spec() == spec
    assert Loss.from_spec(loss.to_spec()) == loss


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("focl", "unknown loss 'focl'; did you mean 'focal'"),
        ({"focal": -1}, "'focal': gamma"),
        ({"cross_entropy": 1}, "label_smoothing"),
        ({"focal": {"class_weights": "balanced"}}, "unknown class-weights 'balanced'"),
        ("distillation", "teacher"),
        ({"dice": {"self_adjusting": -0.1}}, "self_adjusting"),
        ({"tversky": {"beta": -1}}, "beta"),
        ({"mixup": 0}, "alpha"),
        ({"mixup": {"probability": 1.5}}, "probability"),
        ({"mixup": {"loss": "r_drop"}}, "'r_drop' reads second_logits.*choose a loss that only reads logits"),
        ({"mixup": {"loss": {"distillation": "t"}}}, "'distillation' reads teacher_logits"),
        ({"r_drop": {"loss": {"mixup": 0.2}}}, "'mixup' mixes the rows of a batch.*cannot be inside 'r_drop'"),
        ({"r_drop": {"loss": "asymmetric"}}, "'asymmetric' is a multi-label loss"),
        (
            {"r_drop": {"loss": {"distillation": {"teacher": "t", "loss": "r_drop"}}}},
            "'r_drop' contains another 'r_drop'",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(spec: Any, message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        Loss.from_spec(spec)


def test_no_processor_can_hold_a_loss(token_processor: Processor) -> None:
    for loss in ("focal", {"focal": 2}):
        with pytest.raises(UnknownTypeError, match="unknown transform 'focal'"):
            Processor(token_processor.tokenizer, token_processor.task, [loss])
    with pytest.raises(InvalidSpecError, match="Focal"):
        Processor(token_processor.tokenizer, token_processor.task, [Loss.from_spec("focal")])  # type: ignore[list-item]


def test_an_installed_package_may_bring_a_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lost_losses.py").write_text(
        "from nlp_training.losses import Loss\n\n\n"
        "class Nothing(Loss):\n    name = 'nothing'\n\n"
        "    def values(self, items):\n        return items.logits[:, 0] * 0\n"
    )
    info = tmp_path / "lost_losses-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lost-losses\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nlp_training.losses]\nnothing = lost_losses:Nothing\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(Loss, "members", dict(Loss.members))
    assert Loss.from_spec("nothing").values(ITEMS).tolist() == [0.0] * 6


def test_a_background_that_is_no_class_is_named() -> None:
    with pytest.raises(InvalidSpecError, match=r"background .* is 4, but the classes are 0 to 3"):
        Loss.from_spec({"tversky": {"background": 4}}).values(ITEMS)


def test_what_a_loss_reads_must_be_given() -> None:
    with pytest.raises(ValueError, match="reads 'states', which is missing"):
        Loss.from_spec("supervised_contrastive").values(Items(LOGITS, IDS))
