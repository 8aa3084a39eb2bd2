"""Packed linear layers answer what the model's own do, and the model itself stays as it is."""

from collections.abc import Callable

import pytest
import torch
from tiny_models import LABELS, tiny_model
from torch import nn
from transformers.activations import QuickGELUActivation

from nlp_inference import TokenClassification
from nlp_inference.backends.packing import PackedLinear, packed


class Block(nn.Module):
    """A linear layer and an activation, as BERT's intermediate."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.dense = nn.Linear(8, 16)
        self.activation = activation

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.activation(self.dense(inputs))
        return outputs


class Reversed(Block):
    """The same children, the activation first."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.dense(self.activation(inputs))
        return outputs


class Scaled(nn.Linear):
    """A linear layer with a forward of its own."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(inputs)


def kinds(model: nn.Module) -> list[str]:
    return [type(module).__name__ for module in model.modules()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_packed_model_answers_what_the_model_does(dtype: torch.dtype) -> None:
    model = tiny_model(TokenClassification(labels=LABELS)).to(dtype)
    ids = torch.arange(1000, 1024).reshape(2, 12)
    with torch.inference_mode():
        expected = model(input_ids=ids).logits.float()
        answer = packed(model)(input_ids=ids).logits.float()
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-5 if dtype == torch.float32 else 0.1)


def test_every_linear_layer_of_an_encoder_is_packed() -> None:
    model = tiny_model(TokenClassification(labels=LABELS))
    twin = packed(model)
    assert kinds(model).count("Linear") == kinds(twin).count("PackedLinear") == 7
    assert "Linear" not in kinds(twin)
    assert "BertIntermediate" not in kinds(twin), "its activation is applied by the packed layer"


def test_the_model_itself_goes_on_training() -> None:
    model = tiny_model(TokenClassification(labels=LABELS))
    before = kinds(model)
    packed(model)
    assert kinds(model) == before
    model(input_ids=torch.arange(1000, 1008)[None]).logits.sum().backward()
    assert all(parameter.grad is not None for name, parameter in model.named_parameters() if "encoder" in name)


def test_the_tensors_that_are_not_packed_are_shared() -> None:
    model = tiny_model(TokenClassification(labels=LABELS))
    embeddings, shared = (one.get_input_embeddings().weight for one in (model, packed(model)))
    assert embeddings is shared


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: Block(nn.GELU()), ["Sequential", "PackedLinear"]),
        (lambda: Block(nn.GELU(approximate="tanh")), ["Sequential", "Block", "PackedLinear", "GELU"]),
        (lambda: Block(nn.ReLU()), ["Sequential", "Block", "PackedLinear", "ReLU"]),
        (lambda: Scaled(8, 16), ["Sequential", "Scaled"]),
    ],
)
def test_only_what_answers_the_same_is_replaced(build: Callable[[], nn.Module], expected: list[str]) -> None:
    model = nn.Sequential(build()).eval()
    inputs = torch.randn(5, 8)
    assert kinds(packed(model)) == expected if expected != ["Sequential", "Scaled"] else packed(model) is model
    torch.testing.assert_close(packed(model)(inputs), model(inputs), rtol=0, atol=1e-5)


def test_children_in_another_order_are_not_taken_for_a_gelu_layer() -> None:
    model = nn.Sequential(Reversed(nn.GELU())).eval()
    assert kinds(packed(model)) == ["Sequential", "Reversed", "PackedLinear", "GELU"]


class Unpacking(Block):
    """Takes the shape of its input apart."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        batch, length, _ = inputs.shape
        return super().forward(inputs).reshape(batch, length, -1)


def test_a_block_is_asked_as_an_encoder_asks_it() -> None:
    assert kinds(packed(nn.Sequential(Unpacking(nn.GELU())).eval())) == ["Sequential", "PackedLinear"]


class Demanding(Block):
    """Fails on whatever it is asked."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        raise IndexError(inputs.shape)


def test_a_block_that_fails_on_the_probe_stays_as_it_is() -> None:
    assert kinds(packed(nn.Sequential(Demanding(nn.GELU())).eval())) == [
        "Sequential",
        "Demanding",
        "PackedLinear",
        "GELU",
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("activation", [nn.GELU(approximate="tanh"), nn.SiLU(), QuickGELUActivation()])
def test_large_outputs_do_not_make_another_activation_look_like_a_gelu(
    activation: nn.Module, dtype: torch.dtype
) -> None:
    block = Block(activation)
    nn.init.constant_(block.dense.bias, 100.0)
    model = nn.Sequential(block).to(dtype).eval()
    assert kinds(packed(model))[:3] == ["Sequential", "Block", "PackedLinear"]


def test_a_layer_without_bias() -> None:
    model = nn.Sequential(nn.Linear(8, 4, bias=False))
    inputs = torch.randn(2, 3, 8)
    torch.testing.assert_close(packed(model)(inputs), model(inputs), rtol=0, atol=1e-5)


def test_another_precision_is_left_as_it_is() -> None:
    model = nn.Sequential(nn.Linear(8, 4)).double()
    assert packed(model) is model


def test_a_packed_layer_still_tells_its_precision() -> None:
    assert PackedLinear(nn.Linear(8, 4).bfloat16()).weight.dtype == torch.bfloat16
