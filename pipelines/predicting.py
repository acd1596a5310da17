"""The DAG that finds people in many pictures: a plan, workers that share the pictures, and one result.

`python -m pipelines.predicting` compiles it to build/predicting.yaml.
"""

import sys
from typing import Any

from kfp import dsl

from components.predict.component import collect_predictions, plan_prediction, predict
from components.predict.parameters import PredictParameters, PredictRequest
from openpose.parameters import described
from pipelines.dag import Dag, main, placing, with_inputs
from pipelines.settings import Settings

PARAMETERS = {each.name: each for kind in (PredictRequest, PredictParameters) for each in described(kind)}


def pipeline(settings: Settings | None, images: dict[str, Any]) -> Any:
    """The DAG for a cluster, or for this machine. See `pipelines.training.pipeline`."""
    placed = placing(settings, images)

    def predicting(**inputs: Any) -> None:
        """Finds people, or what else the model was trained for, in many pictures."""
        planned = plan_prediction(**inputs)
        placed(planned, "evaluate", "List the pictures", cached=False)  # pictures may change behind an address
        folder = planned.outputs["folder"]
        with dsl.ParallelFor(planned.outputs["shares"], name="share") as share:
            found = placed(predict(folder=folder, share=share), "evaluate", "Find people", cached=False)
        collected = collect_predictions(folder=folder).after(found)
        placed(collected, "light", "Write the result", cached=False)

    return with_inputs(predicting, "openpose-predicting", PARAMETERS)


predicting = pipeline(None, {})

DAG = Dag("openpose-predicting", "Finds people in many pictures.", PARAMETERS, pipeline)


if __name__ == "__main__":
    sys.exit(main(DAG, "predicting"))
