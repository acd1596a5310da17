"""Runs steps as commands: tyro makes the flags from a step's arguments and from the fields of its parameters."""

import inspect
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import docstring_parser
import tyro
import yaml

from openpose.errors import InputError, reports_errors
from openpose.parameters import REQUIRED, Parameter, Parameters, described

CONFIG = "--config"
CONFIG_NOTE = f"{CONFIG} FILE reads parameters from a YAML file (name: value); flags win."


_REGISTRY = tyro.constructors.ConstructorRegistry()


@_REGISTRY.primitive_rule
def _choice(kind: tyro.constructors.PrimitiveTypeInfo) -> tyro.constructors.PrimitiveConstructorSpec | None:
    """Accepts any text for a choice, so that the parameters refuse a wrong one with the same message everywhere."""
    if get_origin(kind.type) is not Literal:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=_choices(get_args(kind.type)),
        instance_from_str=lambda words: words[0],
        is_instance=lambda value: isinstance(value, str),
        str_from_instance=lambda value: [value],
    )


def _choices(values: Iterable[str]) -> str:
    return f"{{{','.join(values)}}}"


def parameters(step: Callable[..., Any]) -> dict[str, Parameter]:
    """A step's parameters by name: its arguments, with each parameters dataclass replaced by its fields."""
    documentation = docstring_parser.parse(step.__doc__ or "")
    words = {each.arg_name: " ".join((each.description or "").split()) for each in documentation.params}
    found: dict[str, Parameter] = {}
    for name, argument in inspect.signature(step, eval_str=True).parameters.items():
        if _is_group(argument.annotation):
            found |= {each.name: each for each in described(argument.annotation)}
        else:
            default = REQUIRED if argument.default is inspect.Parameter.empty else argument.default
            found[name] = Parameter(name, argument.annotation, default, words.get(name, ""))
    return found


def converted(values: Mapping[str, Any], known: Mapping[str, Parameter]) -> dict[str, Any]:
    """The values of parameters, each as its parameter's kind.

    Raises:
        InputError: a parameter is unknown, or a value cannot be used.
    """
    for name in values:
        if name not in known:
            raise InputError(f"unknown parameter {name!r}; choose one of: {', '.join(known)}")
    return {name: known[name].convert(value) for name, value in values.items()}


def named(texts: Iterable[str], flag: str) -> dict[str, str]:
    """The values in texts such as `epochs=5`, by name.

    Raises:
        InputError: a text has no `=`; the message names the flag that it was given with.
    """
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{flag} {text}: give NAME=VALUE, such as epochs=5")
        values[name.replace("-", "_")] = value
    return values


def call(step: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """Calls a step with values by name, as KFP passes them; distributes them over its parameters dataclasses.

    Raises:
        InputError: a value cannot be used, or the step has no parameter of that name.
    """
    values, arguments = converted(values, parameters(step)), {}
    for name, argument in inspect.signature(step, eval_str=True).parameters.items():
        if _is_group(argument.annotation):
            arguments[name] = argument.annotation.select(values)
        elif name in values:
            arguments[name] = values[name]
    return step(**arguments)


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Parameters)


def line(step: Callable[..., Any], program: str, values: Mapping[str, Any]) -> str:
    """The shell command that calls a step with these values; it leaves out defaults."""
    words = []
    for name, parameter in parameters(step).items():
        if name in values and values[name] != parameter.default:
            words.append(_flag(name, values[name]))
    return f"{program} {shlex.join(words)}"


def _flag(name: str, value: Any) -> str:
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{dashed}" if value else f"--no-{dashed}"
    return f"--{dashed}={value}"  # as one word, because a value may begin with a dash


@reports_errors
def run(step: Callable[..., Any], program: str, arguments: Sequence[str] | None = None, note: str = "") -> int:
    """Runs a step from the command line.

    Returns:
        The exit code: 0, or 1 after an InputError, whose message it prints.
    """
    description = docstring_parser.parse(step.__doc__ or "").short_description
    words = with_config(parameters(step), sys.argv[1:] if arguments is None else arguments)
    tyro.cli(
        step,
        prog=program,
        description="\n\n".join(filter(None, [description, note, CONFIG_NOTE])),
        args=words,
        config=(tyro.conf.OmitArgPrefixes,),
        registry=_REGISTRY,
    )
    return 0


def flags(base: type, parameters: Iterable[Parameter], defaults: Mapping[str, Any], notes: Mapping[str, str]) -> type:
    """A dataclass from which tyro makes a command's flags: the fields of `base`, and one field for each parameter.

    Args:
        base: dataclass with the command's own options.
        parameters: one flag each.
        defaults: by name, instead of the parameters' defaults.
        notes: by name, added to the parameters' help.
    """
    fields = []
    for each in parameters:
        words = " ".join(filter(None, [each.words, notes.get(each.name)]))
        metavar = _choices(each.choices) if each.choices else None
        default = field(default=defaults.get(each.name, each.default))
        fields.append((each.name, Annotated[each.kind, tyro.conf.arg(help=words, metavar=metavar)], default))
    return make_dataclass(base.__name__, fields, bases=(base,), namespace={"__doc__": base.__doc__}, frozen=True)


def with_config(known: Mapping[str, Parameter], arguments: Sequence[str]) -> list[str]:
    """Replaces `--config FILE` in the arguments by the flags in that YAML file; flags on the command line win.

    Raises:
        InputError: the file cannot be read, or contains an unknown parameter.
    """
    words = [part for word in arguments for part in (word.split("=", 1) if word.startswith(f"{CONFIG}=") else [word])]
    if CONFIG not in words:
        return words
    at = words.index(CONFIG)
    if at + 1 == len(words):
        raise InputError(f"{CONFIG} needs the path of a YAML file")
    file, rest = Path(words[at + 1]), words[:at] + words[at + 2 :]
    given = {word.split("=")[0].removeprefix("--").removeprefix("no-").replace("-", "_") for word in rest}
    values = read_yaml(file, known)
    return [_flag(name, value) for name, value in values.items() if name not in given] + rest


def read_yaml(file: Path, known: Mapping[str, Parameter]) -> dict[str, Any]:
    """Reads and checks parameters from a YAML or JSON file.

    Raises:
        InputError: the file cannot be read, or contains an unknown parameter or a wrong value.
    """
    try:
        values = yaml.safe_load(file.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{file}: cannot be read as parameters ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise InputError(f"{file}: must contain names and values of parameters, such as epochs: 5")
    try:
        return converted({str(name).replace("-", "_"): value for name, value in values.items()}, known)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
