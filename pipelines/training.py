"""The DAG: check, download, records, train, evaluate, then export and register, or a report on the rejection.

`python -m pipelines.training` compiles it to build/training.yaml.
"""

import sys
from typing import Any

from kfp import dsl

from components.check import component as check_component
from components.check.check import OUTPUTS
from components.coco_download.champion_check import NEW
from components.coco_download.component import coco_download
from components.evaluate.component import evaluate, evaluate_share
from components.export.component import explain_rejection, export
from components.finish.component import finish
from components.parameters import dag_parameters
from components.register.component import register
from components.tfrecord_targets.component import collect_records, tfrecord_targets
from components.train.component import train
from pipelines.dag import Dag, main, placing, with_inputs
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

    placed = placing(settings, images)

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
                how = {"parameters": parameters["evaluate"], "revision": code}
                with dsl.ParallelFor(downloaded.outputs["evaluation_shares"], name="evaluation-share") as share:
                    measured = evaluate_share(**model, share=share, **how)
                    placed(measured, "evaluate", "Measure the model", cached=False)  # as train: the root may be empty
                judged = evaluate(**model, shares=downloaded.outputs["evaluation_shares"], **how).after(measured)
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
                        run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
                    )
                    placed(champion, "light", "Register the champion", cached=False)
                    if settings:
                        settings.place_registration(champion)
                with dsl.Else(name="rejected"):
                    explained = explain_rejection(reason=judged.outputs["reason"], evaluation=evaluation)
                    placed(explained, "light", "Explain the rejection")

    return with_inputs(training, "openpose-training", PARAMETERS)


training = pipeline(None, {})

DAG = Dag("openpose-training", "Trains OpenPose and exports it.", PARAMETERS, pipeline)


if __name__ == "__main__":
    sys.exit(main(DAG, "training"))
