"""After the data is known: whether the champion was made of all that this run would be made of."""

from components import status
from openpose import storage
from openpose.coco.manifest import DataManifest
from openpose.evaluation.registry import Registry

NEW, NOTHING_NEW = "new", "nothing new"


def made_of(recipe: str, data: DataManifest) -> str:
    """Fingerprint of all that decides what a run makes: code, parameters and data; the registry keeps the champion's.

    Args:
        recipe: fingerprint of code and parameters, of the step before.
        data: the data set's manifest.
    """
    return storage.fingerprint([recipe, {split: part.fingerprint for split, part in data.splits.items()}])


def is_made_already(root: str, data: DataManifest, made_of: str, registry: str) -> bool:
    """Whether the data set's champion was made of the same; notes it, for the end of the run to say.

    Args:
        root: Storage root: a folder that all steps see, or gs://bucket/prefix.
        data: The data set's manifest.
        made_of: As the function of this name says it.
        registry: Name of the registry of the champions.
    """
    folder = storage.open_root(root)
    with status.step(folder, "champion") as step:
        entries = Registry(folder, registry)
        champion = entries.champion(data.splits["val"].fingerprint)
        if champion is not None and champion.made_of == made_of:
            step.manifest_path, step.found = entries.folder / champion.entry, True
            print(f"nothing new: {step.manifest_path} is of this code, these parameters and this data", flush=True)
        return step.found
