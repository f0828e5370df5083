import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pytest
from examples import examples

from gradbox.attribution.sensitivity import Sensitivity
from gradbox.errors import UsageError
from gradbox.estimators import ESTIMATORS
from gradbox.estimators.untrained import TopFraction
from gradbox.grammar import Spec, parse
from gradbox.methods import METHODS
from gradbox.specs import build, canonical


@dataclass(frozen=True)
class Knife:
    """A part with an option of every type."""

    length: float = 1.5
    blades: int = 2
    sharp: bool = True
    name: str = "plain"
    kind: Literal["bread", "meat"] = "bread"
    maker: str | None = None
    weight: float | str = "mean"

    def __post_init__(self) -> None:
        if self.length <= 0:
            raise ValueError(f"length={self.length}: it is above 0")


PARTS: dict[str, type] = {"knife": Knife, "fork": TopFraction}
REGISTRIES = [(registry, text) for registry in (METHODS, ESTIMATORS) for text in examples(registry)]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("mass", Spec("mass")),
        ("  mass ( ) ", Spec("mass")),
        ("ridge(grid=14)", Spec("ridge", (), {"grid": 14})),
        ("a(0.2, true, b=false)", Spec("a", (0.2, True), {"b": False})),
        ("a(-3, 1e-6, +2)", Spec("a", (-3, 1e-6, 2))),
        ("ridge(some/file-1.safetensors)", Spec("ridge", ("some/file-1.safetensors",))),
        ("a(two words, k = x )", Spec("a", ("two words",), {"k": "x"})),
        ("a('x, (y)', k=\"it's\")", Spec("a", ("x, (y)",), {"k": "it's"})),
        (r'a("say \"hi\" \\ there")', Spec("a", ('say "hi" \\ there',))),
        ('a("true", \'5\', "")', Spec("a", ("true", "5", ""))),
        ("a(x==1)", Spec("a", ("x==1",))),
        ("a(path/file.py:function)", Spec("a", ("path/file.py:function",))),
    ],
)
def test_grammar(text: str, spec: Spec):
    parsed = parse(text)
    assert parsed == spec
    assert [type(v) for v in parsed.args] == [type(v) for v in spec.args]


@pytest.mark.parametrize(
    "text",
    [
        *("", "()", "2mass", "mass(", "mass)", "mass(1", "mass() more", "top fraction"),
        *("a(1(b))", "a(,)", "a(1,)", "a(1,,2)", "a(k=)", "a(=1)", 'a("x"y)', 'a("x)', "a('x', '"),
        *("a(k=1, 2)", "a(k=1, k=2)"),
    ],
)
def test_what_is_outside_the_grammar_is_refused_and_quoted_in_the_message(text: str):
    with pytest.raises(UsageError, match="cannot read"):
        parse(text)


def test_build_reads_the_types_of_the_fields():
    built = build('knife(2, 3, false, name=x, kind=meat, maker="a b", weight=0.5)', PARTS)
    assert built == Knife(2.0, 3, False, "x", "meat", "a b", 0.5)
    assert type(built.length) is float


@pytest.mark.parametrize("name", ["7", "0.10", "1e3", "nan", "true"])
def test_text_that_reads_as_something_else_is_not_taken_unless_quoted(name: str):
    # The layer 0.10 of nested Sequentials would become the layer 0.1 on the way through a number.
    for option in ("name", "maker"):
        with pytest.raises(UsageError, match=f"{option}=.* is not text: quote it"):
            build(f"knife({option}={name})", PARTS)
        assert getattr(build(f'knife({option}="{name}")', PARTS), option) == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("knif", r"unknown name 'knif' in 'knif' \(did you mean knife\?\); known: fork, knife"),
        ("knife(lenth=2)", r"knife has no option 'lenth' \(did you mean length\?\); options: len"),
        ("knife(1, 2, true, a, meat, b, 1, 9)", "knife takes at most 7 values"),
        ("knife(1, length=2)", "length is given twice"),
        ("knife(long)", "length=long is not float"),
        ("knife(true)", "length=true is not float"),
        ("knife(blades=2.5)", "blades=2.5 is not int"),
        ("knife(sharp=1)", "sharp=1 is not bool"),
        ("knife(kind=fish)", "kind=fish is not one of bread, meat"),
        ("knife(weight=true)", "weight=true is not text"),
        ("knife(length=-1)", "length=-1.0: it is above 0"),
    ],
)
def test_build_says_what_came_why_not_and_what_there_is(text: str, message: str):
    with pytest.raises(UsageError, match=message):
        build(text, PARTS)


def test_canonical_fills_in_defaults_and_leaves_none_out():
    text = "knife(length=1.5, blades=2, sharp=true, name=plain, kind=bread, weight=mean)"
    assert canonical(Knife(), PARTS) == text


def test_equal_parts_have_equal_canonical_text_whatever_number_they_were_made_from():
    made = [TopFraction(0.5, 20), TopFraction(0.5, 20.0), TopFraction(np.float64(0.5), 20)]
    assert {canonical(one, PARTS) for one in made} == {"fork(fraction=0.5, sigma=20.0)"}


@pytest.mark.parametrize("name", ["a b", "true", "7", "0.10", "it's", 'a "b"', "(", "", "\\", "="])
def test_text_that_would_read_as_something_else_is_quoted(name: str):
    assert build(canonical(Knife(name=name), PARTS), PARTS) == Knife(name=name)


@pytest.mark.parametrize(("registry", "name"), REGISTRIES)
def test_every_registered_part_comes_back_from_its_canonical_text(
    registry: dict[str, type[Any]], name: str
):
    part = build(name, registry)
    text = canonical(part, registry)
    assert text.startswith(name.partition("(")[0])
    assert build(text, registry) == part
    assert canonical(build(text, registry), registry) == text


@pytest.mark.parametrize(("registry", "name"), REGISTRIES)
def test_every_registered_part_is_a_frozen_dataclass_that_names_its_options(
    registry: dict[str, type[Any]], name: str
):
    part = build(name, registry)
    with pytest.raises(dataclasses.FrozenInstanceError):
        part.anything = 1
    with pytest.raises(UsageError, match="has no option 'nonsense'"):
        build(f"{name.partition('(')[0]}(nonsense=1)", registry)


def test_a_function_stands_in_canonical_text_by_its_name():
    def target(outputs: Any) -> Any:
        return outputs

    text = canonical(Sensitivity(target=target), METHODS)
    assert "test_specs:test_a_function_stands" in text
    partly = canonical(Sensitivity(target=partial(target)), METHODS)
    assert "functools:partial" in partly
