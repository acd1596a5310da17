"""The manifest of an exported model: its files and their checksums."""

from dataclasses import dataclass, field

from openpose import storage


@dataclass(frozen=True, kw_only=True)
class ModelInputs:
    """What decides an export.

    Attributes:
        run: fingerprint of the training run.
        evaluation: fingerprint of its evaluation.
        pixels: order of the channels that the files take.
        formats: names of the formats.
        images: validation pictures on which the formats are compared.
        max_people: that a file returns for a picture; 0 takes the skeleton's.
        max_peaks: of each part that such a file joins to people; 0 takes the skeleton's.
        revision: of the code.
    """

    run: str
    evaluation: str
    pixels: str
    formats: list[str]
    images: int
    max_people: int = 0
    max_peaks: int = 0
    revision: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelManifest(storage.Manifest):
    """What an export leaves.

    Attributes:
        graph: the frozen graph, which is always written.
        files: each format's file or folder; with `_people` after the format's name that which returns people.
        description: the model card for programs (JSON).
        card: the model card for people (Markdown).
        sha256: checksum of each file, by its name in the folder.
        pixels: order of the channels that the files take.
    """

    KIND = "model"
    inputs: ModelInputs
    graph: str
    files: dict[str, str] = field(default_factory=dict)
    description: str = ""
    card: str = ""
    sha256: dict[str, str]
    pixels: str = "bgr"
