"""The steps from the training to the registry, in one process: root, training records and validation records.

The network is that of tests/tiny.py.
"""

import sys

from components.evaluate.evaluate import evaluate
from components.evaluate.parameters import EvaluateParameters
from components.export.export import export
from components.export.parameters import ExportParameters
from components.register.register import register
from components.train.train import train
from openpose.training.parameters import TrainParameters
from tests import tiny


def main(root: str, train_records: str, valid_records: str) -> None:
    """Runs all steps; the export twice, so that it finds the first one."""
    tiny.stand_in()
    parameters = TrainParameters(model="mobilenet_thin", size=64, batch_size=4, width=0.2, stages=2, epochs=2)
    trained = train(root, train_records, valid_records, parameters)
    assert trained
    run = str(trained.path)
    judged = str(evaluate(root, valid_records, run, parameters=EvaluateParameters(min_ap=-1)).path)
    wanted = ExportParameters(formats="saved_model")  # a folder, beside the graph, which is a file
    exported = str(export(root, run, judged, valid_records, parameters=wanted).path)
    export(root, run, judged, valid_records, parameters=wanted)
    register(root, judged, exported)


if __name__ == "__main__":
    main(*sys.argv[1:])
