"""The command `openpose` of the installed package, also `python -m pipelines`: each sub-command is one of the commands.

`openpose --help` imports none of them, because TensorFlow and Kubeflow's client take seconds to import.
"""

import functools
import importlib
import operator
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

PROGRAM = "openpose"
COMPLETION = ("--tyro-write-completion", "--tyro-print-completion")


@dataclass(frozen=True)
class Command:
    """A sub-command.

    Attributes:
        words: what it does, for the list of all.
        module: has `main(arguments, program)`, which returns the exit code.
        flags: `module:name` of what tyro makes its flags from.
    """

    words: str
    module: str
    flags: str


@dataclass(frozen=True)
class Nothing:
    """Has no flags."""


COMMANDS = {
    "run": Command(
        "Runs the whole pipeline on this machine, from the data to the exported model.",
        "pipelines.local",
        "pipelines.local:FLAGS",
    ),
    "predict": Command(
        "Finds the people in pictures and videos.", "openpose.predict.__main__", "openpose.predict.__main__:Flags"
    ),
    "train": Command("Trains a network on records.", "components.train.__main__", "components.train.train:train"),
    "evaluate": Command(
        "Measures a model on the validation split.",
        "components.evaluate.__main__",
        "components.evaluate.evaluate:evaluate",
    ),
    "export": Command(
        "Writes a trained model in the formats that programs load.",
        "components.export.__main__",
        "components.export.export:export",
    ),
    "score": Command(
        "Prints the COCO AP of a file of detections.",
        "openpose.evaluation.score_file",
        "openpose.evaluation.score_file:Files",
    ),
    "records": Command("Shows or verifies records.", "openpose.report.__main__", "openpose.report.__main__:COMMANDS"),
    "serve": Command(
        "Serves a model by KServe's protocols.", "openpose.serving.__main__", "openpose.serving.__main__:Flags"
    ),
    "sweep": Command("Searches for better parameters.", "pipelines.sweep", "pipelines.sweep:Options"),
    "submit": Command("Runs the pipeline on a cluster.", "pipelines.submit", "pipelines.submit:Options"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a sub-command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        command = importlib.import_module(COMMANDS[words[0]].module)
        return command.main(words[1:], f"{PROGRAM} {words[0]}")
    # Only help, a completion script or an error is left to print. Only a script needs the sub-commands' flags.
    completes = bool(words) and words[0] in COMPLETION
    flags = {name: _flags(command) if completes else Nothing for name, command in COMMANDS.items()}
    tyro.cli(
        _one_of(flags, {name: command.words for name, command in COMMANDS.items()}),
        prog=PROGRAM,
        description="Trains OpenPose networks, and finds people with them.",
        args=words or ["--help"],
        config=(tyro.conf.OmitArgPrefixes,),
    )
    return 0


def _one_of(flags: Mapping[str, Any], words: Mapping[str, str]) -> Any:
    """What tyro makes sub-commands from, by their names."""
    kinds = []
    for name, kind in flags.items():
        inner = isinstance(kind, dict)  # it has sub-commands too
        constructor = None if inner else kind
        about = tyro.conf.subcommand(name, description=words.get(name), constructor=constructor)
        kinds.append(Annotated[_one_of(kind, {}) if inner else Any, about])
    return functools.reduce(operator.or_, kinds)


def _flags(command: Command) -> Any:
    module, _, name = command.flags.partition(":")
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    sys.exit(main())
