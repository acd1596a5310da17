"""Parameters: each one is a field of a frozen dataclass, with its type, default, limits and words.

    @dataclass(frozen=True)
    class TrainParameters(Parameters):
        epochs: Annotated[int, Limits(least=1)] = 30
        \"""Number of passes over the training data.\"""

The flags of commands and their help, the DAG's inputs with their words and choices, and the checks are made from these
fields; nothing else names a parameter's type, default or words.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, get_args, get_origin, get_type_hints

import docstring_parser

from openpose.errors import InputError

REQUIRED = dataclasses.MISSING  # default of a parameter that must be given


@dataclass(frozen=True)
class Limits:
    """The range of a number.

    Attributes:
        least: smallest value.
        below: values must be smaller than this.
        auto: value outside of the range that leaves the number to the data; None where there is none.
    """

    least: float = -math.inf
    below: float = math.inf
    auto: float | None = None


class CommandOnly:
    """Marks a parameter of a step's command that the DAG does not take."""


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        name: of the field.
        kind: str, int, float or bool.
        default: REQUIRED when it must be given.
        words: what it means, for people.
        choices: all values that it may have; empty when there is no list.
        limits: range of a number.
        in_dag: whether the DAG takes it; else only the step's command does.
    """

    name: str
    kind: type
    default: Any
    words: str
    choices: tuple[str, ...] = ()
    limits: Limits = Limits()
    in_dag: bool = True

    def convert(self, value: Any) -> Any:
        """The value as this parameter's kind, from a text, or from a number of another kind (KFP hands on 3 as 3.0).

        Raises:
            InputError: the value has another kind, is outside of the limits or is not one of the choices.
        """
        if self.kind is bool and str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
        if self.kind in (int, float) and not isinstance(value, bool):
            try:
                number = float(value)
                value = int(number) if self.kind is int and number.is_integer() else number
            except (ValueError, TypeError):
                pass
        if self.kind is str and isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        self.check(value)
        return value

    def check(self, value: Any) -> None:
        """Raises InputError when the parameter cannot have this value; the message names the parameter and the cure."""
        kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
        accepted: Any = (int, float) if self.kind is float else self.kind
        if not isinstance(value, accepted) or (isinstance(value, bool) and self.kind is not bool):
            raise InputError(f"{self.name} is {value!r}; it must be {kinds[self.kind]}")
        if self.choices and value not in self.choices:
            raise InputError(f"{self.name} is {value!r}; choose one of: {', '.join(self.choices)}")
        if self.kind in (int, float) and not (value == self.limits.auto or self._in_range(value)):
            below = f" and below {self.limits.below:g}" if self.limits.below < math.inf else ""
            auto = f", or {self.limits.auto:g} to leave it to the data" if self.limits.auto is not None else ""
            raise InputError(f"{self.name} is {value}; it must be at least {self.limits.least:g}{below}{auto}")

    def _in_range(self, value: float) -> bool:
        return self.limits.least <= value < self.limits.below


@dataclass(frozen=True)
class Parameters:
    """The base of all parameters' dataclasses: checks each field.

    Raises:
        InputError: a value has another type, is outside of its limits or is not one of its choices.
    """

    def __post_init__(self) -> None:
        for parameter in described(type(self)):
            parameter.check(getattr(self, parameter.name))

    @classmethod
    def select(cls, values: Mapping[str, Any]) -> Self:
        """Makes the parameters from those values that are theirs; defaults where a value is missing."""
        return cls(**{each.name: each.convert(values[each.name]) for each in described(cls) if each.name in values})

    def as_dict(self) -> dict[str, Any]:
        """The values by name, for fingerprints and documents."""
        return dataclasses.asdict(self)


def described(kind: type) -> tuple[Parameter, ...]:
    """The parameters that a dataclass's fields describe, in their order."""
    return _described(kind)


@functools.cache
def _described(kind: Any) -> tuple[Parameter, ...]:
    hints, words = get_type_hints(kind, include_extras=True), _words(kind)
    return tuple(_parameter(field, hints[field.name], words.get(field.name, "")) for field in dataclasses.fields(kind))


def _parameter(field: dataclasses.Field, hint: Any, words: str) -> Parameter:
    plain, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    choices = get_args(plain) if get_origin(plain) is Literal else ()
    limits = next((extra for extra in extras if isinstance(extra, Limits)), Limits())
    in_dag = CommandOnly not in extras
    return Parameter(field.name, str if choices else plain, field.default, words, choices, limits, in_dag)


def _words(kind: type) -> dict[str, str]:
    """The strings that stand under the fields, of a dataclass and of those that it inherits from."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base):
            documentation = docstring_parser.parse_from_object(base)
            found |= {each.arg_name: " ".join((each.description or "").split()) for each in documentation.params}
    return found
