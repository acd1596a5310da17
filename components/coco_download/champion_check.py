"""After the data step: checks whether this run would only make the champion again."""

from components import status
from openpose import storage
from openpose.coco.manifest import DataManifest
from openpose.evaluation.registry import Registry

NEW, NOTHING_NEW = "new", "nothing new"


def made_of(recipe: str, data: DataManifest) -> str:
    """Fingerprint of a run's code, parameters and data; the registry keeps the champion's.

    Args:
        recipe: fingerprint of code and parameters, from the check step.
        data: the data set's manifest.
    """
    return storage.fingerprint([recipe, {split: part.fingerprint for split, part in data.splits.items()}])


def is_made_already(root: str, data: DataManifest, made_of: str, registry: str) -> bool:
    """Checks whether the data set's champion was made of the same inputs; records it for the run's summary.

    Args:
        root: Storage root: a folder that all steps see, gs://bucket/prefix or s3://bucket/prefix.
        data: The data set's manifest.
        made_of: This run's fingerprint, from the function `made_of`.
        registry: Name of the champions' registry.
    """
    folder = storage.open_root(root)
    with status.step(folder, "champion") as step:
        entries = Registry(folder, registry)
        champion = entries.champion(data.splits["val"].fingerprint)
        if champion is not None and champion.made_of == made_of:
            step.manifest_path, step.found = entries.folder / champion.entry, True
            print(f"nothing new: {step.manifest_path} has the same code, parameters and data", flush=True)
        return step.found
