"""What the DAGs have in common: inputs made from parameters, pods, and the command that compiles one."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import tyro
from google.protobuf.struct_pb2 import Value
from kfp import compiler, dsl

from components import revision
from components.command import converted
from components.parameters import dag_parameters
from openpose.errors import InputError, reports_errors
from openpose.parameters import REQUIRED, Parameter
from pipelines import images as built_images
from pipelines import settings as cluster_settings
from pipelines.settings import Settings


@dataclass(frozen=True)
class Dag:
    """A DAG that can be compiled for a cluster.

    Attributes:
        name: of the pipeline on a server.
        words: what it does, for people.
        parameters: its inputs, by name.
        make: makes KFP's pipeline from settings (None on this machine) and images, as `pipelines.images.read` has them.
    """

    name: str
    words: str
    parameters: Mapping[str, Parameter]
    make: Callable[[Settings | None, dict[str, Any]], Any]

    def compile_to(self, out: Path, settings: Settings, images: dict[str, Any]) -> None:
        """Compiles the DAG to a YAML file, which carries the revision of the images' code.

        A run that is started on Kubeflow's form has it too, so it does not take results of other code for its own.

        Raises:
            InputError: the settings have a parameter that no DAG has, or a value that it cannot use.
        """
        try:
            given = converted(settings.parameters, {**dag_parameters(), **self.parameters})
        except InputError as error:
            raise InputError(f"settings: parameters: {error}") from error
        out.parent.mkdir(parents=True, exist_ok=True)
        code = images["cpu"].get("code") or revision.fingerprint()
        # Settings are written for the training; other DAGs take what they know.
        defaults = {"revision": code} | {name: value for name, value in given.items() if name in self.parameters}
        compiler.Compiler().compile(self.make(settings, images), str(out), pipeline_parameters=defaults)


class Place(Protocol):
    """Places a task and names it."""

    def __call__(
        self, task: dsl.PipelineTask, part: str, title: str, cached: bool = True, retried: bool = True
    ) -> dsl.PipelineTask:
        """Sets a task's pod, its title for people, and whether it is cached and a lost pod restarted; returns it."""


def placing(settings: Settings | None, images: dict[str, Any]) -> Place:
    """A function that places tasks on a cluster; without settings, on this machine, it only names them."""

    def placed(
        task: dsl.PipelineTask, part: str, title: str, cached: bool = True, retried: bool = True
    ) -> dsl.PipelineTask:
        if settings:
            settings.place(task, part, images, retried)
        return task.set_caching_options(cached).set_display_name(title)

    return placed


def with_inputs(body: Callable[..., None], name: str, parameters: Mapping[str, Parameter]) -> Any:
    """KFP's pipeline of a body, with the parameters as inputs.

    Args:
        body: declares the tasks; takes the parameters by name.
        name: of the pipeline.
        parameters: from which KFP gets types, defaults, words and choices.
    """
    made = dsl.pipeline(name=name)(_with_signature(body, parameters))
    # Kubeflow's form lists the choices, and its server refuses other values; KFP's SDK cannot express them.
    inputs = made.pipeline_spec.root.input_definitions.parameters
    for each in parameters.values():
        inputs[each.name].literals.extend(Value(string_value=choice) for choice in each.choices)
    return made


def _with_signature(body: Callable[..., None], parameters: Mapping[str, Parameter]) -> Callable[..., None]:
    """Gives the body the parameters as signature and docstring, from which KFP reads inputs and their help."""
    parts = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if each.default is REQUIRED else each.default,
            annotation=each.kind,
        )
        for name, each in parameters.items()
    ]
    required_first = sorted(parts, key=lambda part: part.default is not inspect.Parameter.empty)
    signature = inspect.Signature(required_first, return_annotation=None)

    def function(*args: Any, **kwargs: Any) -> None:
        body(**signature.bind(*args, **kwargs).arguments)

    words = "\n".join(f"    {name}: {each.words}" for name, each in parameters.items())
    function.__name__ = body.__name__
    function.__doc__ = f"{body.__doc__}\n\nArgs:\n{words}\n"
    function.__signature__ = signature  # type: ignore[attr-defined]
    function.__annotations__ = {part.name: part.annotation for part in parts}
    return function


@dataclass(frozen=True)
class Options:
    """Compiles the DAG to YAML."""

    out: Path | None = None
    """File to write; by default build/ and the DAG's name."""
    settings: str = "pvc"
    """Settings of the cluster: a .yaml file, or the name of one in pipelines/clusters."""
    images: Path = built_images.BUILT
    """File with the built images, as make images writes it."""


@reports_errors
def main(dag: Dag, name: str, arguments: Sequence[str] | None = None) -> int:
    """Compiles a DAG; returns the exit code.

    Args:
        dag: to compile.
        name: of its module.
        arguments: of the command line.
    """
    options = tyro.cli(Options, prog=f"python -m pipelines.{name}", args=arguments)
    out = options.out or Path("build") / f"{name}.yaml"
    settings, images = cluster_settings.read(options.settings), built_images.read(options.images)
    dag.compile_to(out, settings, images)
    print(f"compiled {out}")
    if missing := built_images.missing(images, settings.variants()):
        print(f"warning: {out} cannot run on a cluster: {missing}", file=sys.stderr)
    return 0
