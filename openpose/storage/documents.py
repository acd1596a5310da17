"""Dataclasses as JSON: `to_json` turns one into a document, `from_json` checks a document and turns it into one.

A document may have fields that the dataclass lacks: a newer version has added them. A field that the document lacks
takes its default. A dataclass names its fields' former names in a class variable `FORMER_NAMES`, former -> present. One
with a document of its own, such as a skeleton, has `to_document` and `from_document`.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from openpose.errors import InputError

T = TypeVar("T")


#: Metadata of a field that a document leaves out while it has its default.
OMITTED: Mapping[str, Any] = types.MappingProxyType({"omitted": True})


def to_json(value: Any) -> Any:
    """The value with each dataclass as a dict and each tuple as a list."""
    if hasattr(value, "to_document"):
        return value.to_document()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        values = {field: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {
            field.name: to_json(inner)
            for field, inner in values.items()
            if not (field.metadata.get("omitted") and inner == field.default)
        }
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return value


def from_json(kind: type[T], document: Any) -> T:
    """Turns a JSON document into a dataclass, or into a dict or list of dataclasses, such as `dict[str, Inputs]`.

    Raises:
        InputError: a field is missing or of another type; the message begins with the field's name, such as
            `inputs.parameters.size`.
    """
    return _value(kind, document, "")


def _dataclass(kind: Any, document: Any, name: str) -> Any:
    if not isinstance(document, dict):
        raise _wrong(name, document, "an object")
    former = getattr(kind, "FORMER_NAMES", {})
    document = {former.get(key, key): value for key, value in document.items()}
    values = {}
    for field, hint in _fields(kind):
        inner = f"{name}.{field.name}" if name else field.name
        if field.name in document:
            values[field.name] = _value(hint, document[field.name], inner)
        elif field.default is field.default_factory is dataclasses.MISSING:
            raise InputError(f"`{inner}` is missing")
    try:
        return kind(**values)
    except InputError as error:  # the dataclass checks its own values
        raise InputError(f"`{name}`: {error}" if name else str(error)) from error


def _own_document(kind: Any, document: Any, name: str) -> Any:
    try:
        return kind.from_document(document)
    except InputError as error:
        raise InputError(f"`{name}`: {error}" if name else str(error)) from error


@functools.cache
def _fields(kind: Any) -> list[tuple[dataclasses.Field[Any], Any]]:
    hints = get_type_hints(kind)
    return [(field, hints[field.name]) for field in dataclasses.fields(kind)]


def _value(hint: Any, value: Any, name: str) -> Any:
    """The value as the type hint asks for it."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any or (value is None and types.NoneType in inner):
        return value
    if origin in (Union, types.UnionType):
        return _value(next(each for each in inner if each is not types.NoneType), value, name)
    if origin is Literal:
        if value not in inner:
            raise _wrong(name, value, f"one of {', '.join(map(str, inner))}")
        return value
    if hasattr(hint, "from_document"):
        return _own_document(hint, value, name)
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint, value, name)
    if origin is dict:
        items = _expect(dict, "an object", value, name).items()
        return {key: _value(inner[1], item, f"{name}.{key}" if name else key) for key, item in items}
    if origin in (list, tuple):
        _expect(list, "a list", value, name)
        if origin is tuple and inner[-1] is not ... and len(value) != len(inner):
            raise _wrong(name, value, f"a list of {len(inner)}")
        hints = inner if origin is tuple and inner[-1] is not ... else inner[:1] * len(value)
        return origin(_value(hints[number], item, f"{name}[{number}]") for number, item in enumerate(value))
    if hint is float and type(value) is int:  # 1.0 is 1 in some JSON
        return value
    if isinstance(value, bool) and hint is not bool:
        raise _wrong(name, value, hint.__name__)
    return _expect(hint, hint.__name__, value, name)


def _expect(kind: type[T], words: str, value: Any, name: str) -> T:
    if not isinstance(value, kind):
        raise _wrong(name, value, words)
    return value


def _wrong(name: str, value: Any, wanted: str) -> InputError:
    text = repr(value)
    what = f"`{name}`" if name else "the document"
    return InputError(f"{what} is {text if len(text) < 80 else f'{text[:80]}…'}, but {wanted} is needed")
