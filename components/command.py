"""A step as a command: its flags come from the step function's signature and docstring."""

import argparse
import inspect
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import docstring_parser

from openpose.errors import InputError


def flags(function: Callable[..., Any]) -> list[dict[str, Any]]:
    """A step's parameters: `name`, `type`, `default` (absent when it must be given) and `help`, in order."""
    documentation = {
        param.arg_name: param.description for param in docstring_parser.parse(function.__doc__ or "").params
    }
    described = []
    for parameter in inspect.signature(function).parameters.values():
        entry = {
            "name": parameter.name,
            "type": parameter.annotation,
            "help": documentation.get(parameter.name) or "",
        }
        if parameter.default is not inspect.Parameter.empty:
            entry["default"] = parameter.default
        described.append(entry)
    return described


def line(function: Callable[..., Any], program: str, arguments: Mapping[str, Any]) -> str:
    """The command, as for a shell, that calls a step with these arguments; without those that are the defaults."""
    words = []
    for flag in flags(function):
        name, value = f"--{flag['name'].replace('_', '-')}", arguments[flag["name"]]
        if value != flag.get("default"):
            # In one word, as a value may begin with a dash.
            words.append(name if flag["type"] is bool else f"{name}={value}")
    return f"{program} {shlex.join(words)}"


def parser(function: Callable[..., Any], program: str, note: str = "") -> argparse.ArgumentParser:
    """The argument parser of a step; its help ends with the note."""
    description = docstring_parser.parse(function.__doc__ or "").short_description
    made = argparse.ArgumentParser(prog=program, description=description, epilog=note, allow_abbrev=False)
    for flag in flags(function):
        text = " ".join(flag["help"].split()).replace("%", "%%")
        if flag["type"] is bool:
            made.add_argument(f"--{flag['name'].replace('_', '-')}", action="store_true", help=text)
            continue
        options: dict[str, Any] = {
            "type": flag["type"],
            "help": text,
            "metavar": flag["type"].__name__.upper(),
        }
        if "default" in flag:
            options |= {"default": flag["default"], "help": f"{text} (default: {flag['default']})"}
        else:
            options["required"] = True
        made.add_argument(f"--{flag['name'].replace('_', '-')}", **options)
    return made


def run(function: Callable[..., Any], program: str, arguments: Sequence[str] | None = None, note: str = "") -> int:
    """Runs a step from the command line.

    Returns:
        The exit code: 0, or 1 after a clear message about something that cannot be used.
    """
    values = vars(parser(function, program, note).parse_args(arguments))
    try:
        function(**values)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
