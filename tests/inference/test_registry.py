"""Specifications: every form, what is refused and how it is said."""

import pytest
from pydantic import Field

from nlp_inference.errors import InvalidSpecError, UnknownTypeError
from nlp_inference.registry import Registered


class Tool(Registered):
    kind = "tool"


class Hammer(Tool):
    name = "hammer"
    weight: int = 1
    grip: str = "wood"


class Level(Tool):
    name = "level"


class Box(Tool):
    name = "box"
    contents: dict[str, int] = Field(default={})


class Saw(Hammer):
    name = "saw"


FORMS = [
    ("hammer", Hammer(), "hammer"),
    ({"hammer": None}, Hammer(), "hammer"),
    ({"hammer": {}}, Hammer(), "hammer"),
    ({"hammer": 1}, Hammer(), "hammer"),
    ({"hammer": 3}, Hammer(weight=3), {"hammer": 3}),
    ({"hammer": {"weight": 3}}, Hammer(weight=3), {"hammer": 3}),
    ({"hammer": {"grip": "steel"}}, Hammer(grip="steel"), {"hammer": {"grip": "steel"}}),
    (
        {"hammer": {"grip": "steel", "weight": 2}},
        Hammer(weight=2, grip="steel"),
        {"hammer": {"weight": 2, "grip": "steel"}},
    ),
    ({"box": {"contents": {"nails": 9}}}, Box(contents={"nails": 9}), {"box": {"contents": {"nails": 9}}}),
    ("level", Level(), "level"),
]


@pytest.mark.parametrize(("spec", "tool", "shortest"), FORMS)
def test_every_form_of_a_specification(spec, tool, shortest):
    assert Tool.from_spec(spec) == tool
    assert tool.to_spec() == shortest
    assert Tool.from_spec(shortest) == tool
    assert Tool.from_spec(tool) is tool


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("hamer", UnknownTypeError, "unknown tool 'hamer'; did you mean 'hammer'.*Known: box, hammer, level, saw"),
        ("subprocess.run", UnknownTypeError, "unknown tool 'subprocess.run'"),
        ({"hammer": {"wieght": 2}}, InvalidSpecError, "unknown key 'wieght'; did you mean 'weight'"),
        ({"hammer": "heavy"}, InvalidSpecError, "tool 'hammer': weight: .*got 'heavy'"),
        ({"level": 3}, InvalidSpecError, "has no fields, but got 3; write 'level' alone"),
        ({"hammer": 1, "level": None}, InvalidSpecError, "cannot read"),
        ({}, InvalidSpecError, "cannot read {} as a tool"),
        ({3: 4}, InvalidSpecError, "cannot read"),
        (None, InvalidSpecError, "cannot read None"),
        (7, InvalidSpecError, "cannot read 7"),
        (["hammer"], InvalidSpecError, "cannot read"),
    ],
)
def test_what_does_not_fit_is_refused(spec, error, said):
    with pytest.raises(error, match=said):
        Tool.from_spec(spec)


def test_a_narrower_kind_refuses_the_others():
    assert Hammer.from_spec("saw") == Saw()
    with pytest.raises(InvalidSpecError, match="'level' is a Level; expected a Hammer"):
        Hammer.from_spec("level")


def test_a_name_belongs_to_one_class():
    with pytest.raises(
        InvalidSpecError, match=r"the tool name 'hammer' is already registered by .*Hammer; give .*Mallet another name"
    ):

        class Mallet(Tool):
            name = "hammer"


def test_kinds_have_registries_of_their_own():
    class Fruit(Registered):
        kind = "fruit"

    class Pear(Fruit):
        name = "hammer"

    assert Fruit.members == {"hammer": Pear}
    assert Tool.members["hammer"] is Hammer


def test_what_is_wrong_is_told_in_a_few_lines_however_much_it_is():
    contents = {f"nail {number}": "x" * 10_000 for number in range(12)}
    with pytest.raises(InvalidSpecError) as caught:
        Tool.from_spec({"box": {"contents": contents, "k" * 10_000: 1}})
    said = str(caught.value)
    assert said.startswith("tool 'box': contents.nail 0: Input should be a valid integer")
    assert said.count("(got 'xxx") == 5
    assert said.endswith("xxx...); and 8 more problems")
    assert len(said) < 2_000
    with pytest.raises(InvalidSpecError, match=r"unknown key 'k{197}\.\.\.'; Known: contents$"):
        Tool.from_spec({"box": {"k" * 10_000: 1}})
