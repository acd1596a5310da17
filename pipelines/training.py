"""The DAG: check, download, records, train, evaluate, then export and register, or a report on the rejection.

`python -m pipelines.training` compiles it to build/training.yaml.
"""

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from google.protobuf.struct_pb2 import Value
from kfp import compiler, dsl

from components import revision
from components.check import component as check_component
from components.check.check import OUTPUTS
from components.coco_download.champion_check import NEW
from components.coco_download.component import coco_download
from components.command import converted
from components.evaluate.component import evaluate
from components.export.component import explain_rejection, export
from components.finish.component import finish
from components.parameters import dag_parameters
from components.register.component import register
from components.tfrecord_targets.component import collect_records, tfrecord_targets
from components.train.component import train
from openpose.errors import InputError, reports_errors
from openpose.parameters import REQUIRED
from pipelines import images as built_images
from pipelines import settings as cluster_settings
from pipelines.settings import Settings

PARAMETERS = dag_parameters()


def pipeline(settings: Settings | None, images: dict[str, Any]) -> Any:
    """The DAG for a cluster, or for this machine.

    Args:
        settings: of the cluster; None on this machine, where retries would make KFP wait minutes after a failure.
        images: from `pipelines.images.read`.

    Returns:
        KFP's pipeline.
    """
    check = check_component.component({name: parameter.kind for name, parameter in PARAMETERS.items()}, OUTPUTS)

    def requested(part: str) -> dict[str, str]:
        """The resources that a part's pods request; empty on this machine."""
        pod = getattr(settings, part, None)
        return {"cpu": pod.cpu, "memory": pod.memory, "accelerator": pod.accelerator} if pod else {}

    def placed(
        task: dsl.PipelineTask, part: str, title: str, cached: bool = True, retried: bool = True
    ) -> dsl.PipelineTask:
        if settings:
            settings.place(task, part, images, retried)
        return task.set_caching_options(cached).set_display_name(title)

    def training(**inputs: Any) -> None:
        """Trains OpenPose on data in COCO's format, and exports the network if it is good enough."""
        root, code = inputs["root"], inputs["revision"]
        with dsl.ExitHandler(placed(finish(root=root), "light", "Sum up the run", cached=False)):
            checked = check(machine=requested("train"), watcher=requested("light"), **inputs)
            placed(checked, "light", "Check the parameters", cached=False, retried=False)  # wrong parameters stay wrong
            parameters = checked.outputs
            downloaded = coco_download(
                source=inputs["source"],
                root=root,
                parameters=parameters["data"],
                workers=inputs["workers"],
                recipe=parameters["recipe"],
                registry=parameters["registry"],
                only_new=inputs["only_new"],
            )
            # KFP's cache does not notice changed files behind an address; the step does.
            placed(downloaded, "data", "Get the data", cached=False)
            data = {"data": downloaded.outputs["data"], "root": root, "parameters": parameters["records"]}
            with dsl.If(downloaded.outputs["Output"] == NEW, name="new"):
                with dsl.ParallelFor(downloaded.outputs["shares"], name="share") as share:
                    written = placed(tfrecord_targets(share=share, **data), "data", "Write records")
                collected = placed(collect_records(**data).after(written), "light", "Collect the records")
                records = {name: collected.outputs[name] for name in ("train_records", "valid_records")}
                trained = train(**records, root=root, parameters=parameters["train"], revision=code)
                placed(trained, "train", "Train", cached=False)  # the cache would miss an emptied root too
                if settings:
                    settings.place_training(trained, parameters)
                model = {"run": trained.outputs["run"], "valid_records": records["valid_records"], "root": root}
                judged = evaluate(**model, parameters=parameters["evaluate"], revision=code)
                placed(judged, "evaluate", "Evaluate", cached=False)  # the verdict depends on the registry
                evaluation = judged.outputs["evaluation"]
                with dsl.If(judged.outputs["verdict"] == "accepted", name="accepted"):
                    exported = export(
                        **model,
                        train_records=records["train_records"],
                        evaluation=evaluation,
                        parameters=parameters["export"],
                        revision=code,
                    )
                    placed(exported, "evaluate", "Export the model")
                    champion = register(
                        evaluation=evaluation,
                        model=exported.outputs["model"],
                        root=root,
                        made_of=downloaded.outputs["made_of"],
                    )
                    placed(champion, "light", "Register the champion", cached=False)
                with dsl.Else(name="rejected"):
                    explained = explain_rejection(reason=judged.outputs["reason"], evaluation=evaluation)
                    placed(explained, "light", "Explain the rejection")

    return _with_choices(dsl.pipeline(name="openpose-training")(_with_inputs(training)))


def _with_inputs(body: Callable[..., None]) -> Callable[..., None]:
    """Gives the body the DAG's parameters as signature and docstring, from which KFP reads inputs and their help."""
    parts = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if each.default is REQUIRED else each.default,
            annotation=each.kind,
        )
        for name, each in PARAMETERS.items()
    ]
    required_first = sorted(parts, key=lambda part: part.default is not inspect.Parameter.empty)
    signature = inspect.Signature(required_first, return_annotation=None)

    def function(*args: Any, **kwargs: Any) -> None:
        body(**signature.bind(*args, **kwargs).arguments)

    words = "\n".join(f"    {name}: {each.words}" for name, each in PARAMETERS.items())
    function.__name__ = body.__name__
    function.__doc__ = f"{body.__doc__}\n\nArgs:\n{words}\n"
    function.__signature__ = signature  # type: ignore[attr-defined]
    function.__annotations__ = {part.name: part.annotation for part in parts}
    return function


def _with_choices(made: Any) -> Any:
    """Adds the choices of its inputs to a pipeline: Kubeflow's form lists them, and its server refuses other values.

    KFP's SDK cannot express this.
    """
    inputs = made.pipeline_spec.root.input_definitions.parameters
    for name, each in PARAMETERS.items():
        inputs[name].literals.extend(Value(string_value=choice) for choice in each.choices)
    return made


training = pipeline(None, {})


def compile_to(out: Path, settings: Settings, images: dict[str, Any]) -> None:
    """Compiles the DAG to a YAML file, which carries the revision of the images' code.

    A run that is started on Kubeflow's form has it too, so it does not take results of other code for its own.

    Raises:
        InputError: the settings have a parameter that the DAG does not have, or a value that it cannot use.
    """
    try:
        parameters = converted(settings.parameters, PARAMETERS)
    except InputError as error:
        raise InputError(f"settings: parameters: {error}") from error
    out.parent.mkdir(parents=True, exist_ok=True)
    code = images["cpu"].get("code") or revision.fingerprint()
    defaults = {"revision": code} | parameters
    compiler.Compiler().compile(pipeline(settings, images), str(out), pipeline_parameters=defaults)


@dataclass(frozen=True)
class Options:
    """Compiles the DAG to YAML."""

    out: Path = Path("build/training.yaml")
    """File to write."""
    settings: str = "pvc"
    """Settings of the cluster: a .yaml file, or the name of one in pipelines/clusters."""
    images: Path = built_images.BUILT
    """File with the built images, as make images writes it."""


@reports_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Compiles the DAG; returns the exit code."""
    options = tyro.cli(Options, prog="python -m pipelines.training", args=arguments)
    settings, images = cluster_settings.read(options.settings), built_images.read(options.images)
    compile_to(options.out, settings, images)
    print(f"compiled {options.out}")
    if missing := built_images.missing(images, settings.variants()):
        print(f"warning: {options.out} cannot run on a cluster: {missing}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
