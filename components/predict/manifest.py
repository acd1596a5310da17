"""The plan and the manifest of a prediction."""

from dataclasses import dataclass, field

from openpose import storage


@dataclass(frozen=True, kw_only=True)
class PredictionInputs:
    """What decides a prediction.

    Attributes:
        pictures: fingerprint of the pictures' names, sizes and times.
        model: checksum of the model.
        height: of the network's input, pixels.
        flip: whether the network runs on the mirrored pictures too.
        draw: whether drawn pictures are written.
        revision: of the code.
    """

    pictures: str
    model: str
    height: int
    flip: bool
    draw: bool
    revision: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the workers need to know.

    Attributes:
        pictures: where the pictures are.
        model: where the model is.
        skeleton: of the people, as `Skeleton.text` gives it.
        chunks: into how many chunks the pictures are divided.
        inputs: of the prediction.
    """

    pictures: str
    model: str
    skeleton: str
    chunks: int
    inputs: PredictionInputs


@dataclass(frozen=True, kw_only=True)
class PredictionManifest(storage.Manifest):
    """What a prediction leaves.

    Attributes:
        counts: of `pictures`, `people` (or what else was looked for), and pictures that `failed`.
        results: the people in COCO's result format.
        data: the pictures and people as a COCO data set.
        failed: why pictures could not be used: the first messages.
    """

    KIND = "prediction"
    inputs: PredictionInputs
    counts: dict[str, int]
    results: str
    data: str
    failed: list[str] = field(default_factory=list)
