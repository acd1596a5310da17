"""The DAG's parameters, step by step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from components.coco_download.parameters import DataParameters
from components.evaluate.parameters import EvaluateParameters
from components.export.parameters import ExportParameters
from components.tfrecord_targets.parameters import SplitParameters
from openpose.drawn_people.source import SAMPLE
from openpose.parameters import Limits, Parameter, Parameters, described
from openpose.training.parameters import DeviceParameters, RunParameters, TrainParameters


@dataclass(frozen=True)
class RunRequest(Parameters):
    """The input of one run of the DAG, its storage root, and when it may stop early."""

    source: str
    """The data set: coco2017; sample, a drawn data set; or a folder or address (http://, https://, gs://, s3://,
    file://) with COCO's official file names."""
    root: str
    """Storage root: a folder that all steps see, gs://bucket/prefix or s3://bucket/prefix."""
    workers: Annotated[int, Limits(least=1)] = 2
    """Number of workers that write the training split's records, and evaluate the model, in parallel."""
    only_new: bool = False
    """Stop after the data step if the champion was made by the same code from the same data and parameters."""
    revision: str = ""
    """Revision of the code; a new revision trains again."""


#: Name of the KFP struct -> the dataclasses that a step reads from it.
STEP_PARAMETERS: dict[str, tuple[type[Parameters], ...]] = {
    "data": (DataParameters,),
    "records": (SplitParameters,),
    "train": (TrainParameters, RunParameters, DeviceParameters),
    "evaluate": (EvaluateParameters,),
    "export": (ExportParameters,),
}


SAMPLE_REGISTRY = "sample"  # of the drawn people, so that no model of theirs follows one of real data


def registry(values: Mapping[str, Any]) -> str:
    """The registry of a run: the one asked for, but the sample's own instead of the default one."""
    by_default = values["registry"] == EvaluateParameters.registry
    return SAMPLE_REGISTRY if values["source"] == SAMPLE and by_default else values["registry"]


def dag_parameters() -> dict[str, Parameter]:
    """All parameters of the DAG, by name; several steps may share one."""
    kinds: list[type[Parameters]] = [RunRequest, *(kind for step in STEP_PARAMETERS.values() for kind in step)]
    return {each.name: each for kind in kinds for each in described(kind) if each.in_dag}


def of_step(step: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Selects and checks one step's parameters, for the struct in which KFP passes them on.

    Raises:
        InputError: a value cannot be used.
    """
    struct: dict[str, Any] = {}
    for kind in STEP_PARAMETERS[step]:
        selected = kind.select(values).as_dict()
        struct |= {each.name: selected[each.name] for each in described(kind) if each.in_dag}
    return struct
