"""Parameters: what a field of a dataclass says about one, and which values are refused."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpose.errors import InputError
from openpose.parameters import REQUIRED, CommandOnly, Limits, Parameters, described


@dataclass(frozen=True)
class Size(Parameters):
    """A part that several dataclasses share."""

    size: Annotated[int, Limits(least=8)] = 368
    """Height and width
    in pixels."""


@dataclass(frozen=True)
class Recipe(Size):
    """Inherits the size."""

    decay: Literal["exponential", "cosine"] = "cosine"
    """How the rate falls."""
    ema: Annotated[float, Limits(least=0, below=1)] = 0.0
    """Share that is kept."""
    keep: Annotated[int, CommandOnly] = 2
    """Checkpoints that are kept."""
    partial: bool = False
    """Take what fits."""
    init: str = ""
    """Weights to start from."""


def test_field_says_all_about_its_parameter() -> None:
    size, decay, ema, keep, partial, init = described(Recipe)
    assert (size.name, size.kind, size.default, size.words) == ("size", int, 368, "Height and width in pixels.")
    assert (decay.kind, decay.choices) == (str, ("exponential", "cosine"))
    assert ema.limits == Limits(0, 1)
    assert [each.in_dag for each in (size, keep)] == [True, False]
    assert (partial.kind, init.kind, init.words) == (bool, str, "Weights to start from.")


def test_field_without_a_default_is_required() -> None:
    @dataclass(frozen=True)
    class Place(Parameters):
        root: str

    assert described(Place)[0].default is REQUIRED


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 7}, "size is 7; it must be at least 8"),
        ({"ema": 1.0}, "ema is 1.0; it must be at least 0 and below 1"),
        ({"decay": "linear"}, "decay is 'linear'; choose one of: exponential, cosine"),
        ({"size": "large"}, "size is 'large'; it must be a whole number"),
        ({"size": 8.5}, "size is 8.5; it must be a whole number"),
        ({"size": True}, "size is True; it must be a whole number"),
        ({"ema": "nan"}, "ema is nan; it must be at least 0 and below 1"),
        ({"partial": "maybe"}, "partial is 'maybe'; it must be true or false"),
        ({"init": None}, "init is None; it must be a text"),
    ],
)
def test_value_that_cannot_be_used_is_refused_by_name(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        Recipe.select(values)
    assert str(error.value) == message


def test_values_of_others_are_left_alone() -> None:
    assert Recipe.select({"size": 64, "source": "coco2017"}) == Recipe(size=64)


@given(st.integers(8, 10**6), st.floats(0, 1, exclude_max=True), st.booleans())
def test_numbers_come_back_from_texts_and_from_floats(size: int, ema: float, partial: bool) -> None:
    expected = Recipe(size=size, ema=ema, partial=partial)
    assert Recipe.select({"size": float(size), "ema": ema, "partial": partial}) == expected
    made = Recipe.select({"size": str(size), "ema": repr(ema), "partial": str(partial).lower()})
    assert made == expected
    assert type(made.size) is int
