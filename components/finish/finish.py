"""The last step, which runs also after a failure: sums up the run."""

import json

from components import status
from components.finish.summary import MARK, Summary, summarise
from openpose import storage
from openpose.errors import InputError


def finish(root: str, state: str, message: str = "") -> Summary:
    """Sums up the run, writes the summary to `<root>/summaries/<run>.json`, and prints it on a cluster.

    Args:
        root: Storage root: a folder that all steps see, gs://bucket/prefix or s3://bucket/prefix.
        state: The run's state as Kubeflow names it, such as SUCCEEDED, COMPLETE or FAILED.
        message: Kubeflow's error message, if any.
    """
    try:
        folder = storage.open_root(root)
        summary = summarise(folder, state, message)
        storage.write_json(folder / "summaries" / f"{status.run() or 'last'}.json", summary.document())
    except InputError as error:  # this step reports it instead of failing too
        summary = summarise(None, state, message or str(error))
    if status.run():  # elsewhere `pipelines.local` prints it
        print(summary.markdown())
        print(f"{MARK}{json.dumps(summary.document())}", flush=True)
    return summary
