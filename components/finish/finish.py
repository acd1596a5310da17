"""The last step, also after a failure: sums up how the run went."""

import json
import os

from components import status
from components.finish.summary import MARK, Summary, summarise
from openpose import storage
from openpose.errors import InputError


def finish(root: str, state: str, message: str = "") -> Summary:
    """Sums up how the run went, prints it on a cluster, and writes `<root>/summaries/<run>.json`.

    Args:
        root: Storage root: a folder that all steps see, or gs://bucket/prefix.
        state: The run's state as Kubeflow names it, such as SUCCEEDED, COMPLETE or FAILED.
        message: What Kubeflow says about it, if anything.
    """
    try:
        folder = storage.open_root(root)
        summary = summarise(folder, state, message)
        storage.write_json(folder / "summaries" / f"{os.environ.get(status.RUN) or 'last'}.json", summary.document())
    except InputError as error:  # this step reports it instead of failing too
        summary = summarise(None, state, message or str(error))
    if status.RUN in os.environ:  # on this machine, `pipelines.local` prints it
        print(summary.markdown())
        print(f"{MARK}{json.dumps(summary.document())}", flush=True)
    return summary
