"""The steps from the training to the registry, in one process: root, training records and validation records."""

import sys

from components.evaluate.evaluate import evaluate
from components.evaluate.parameters import EvaluateParameters
from components.export.export import export
from components.register.register import register
from components.train.train import train
from openpose.training.parameters import TrainParameters


def main(root: str, train_records: str, valid_records: str) -> None:
    """Runs all steps; the export twice, so that it finds the first one."""
    parameters = TrainParameters(size=64, batch_size=4, width=0.2, stages=2, epochs=2)
    trained = train(root, train_records, valid_records, parameters)
    assert trained
    run = str(trained.path)
    judged = str(evaluate(root, valid_records, run, parameters=EvaluateParameters(min_ap=-1)).path)
    exported = str(export(root, run, judged, valid_records).path)
    export(root, run, judged, valid_records)
    register(root, judged, exported)


if __name__ == "__main__":
    main(*sys.argv[1:])
