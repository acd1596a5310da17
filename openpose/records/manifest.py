"""The manifest of a split's records: its shards, and what they hold. Free of TensorFlow."""

from dataclasses import dataclass, field

from openpose import storage
from openpose.codec.parameters import TargetParameters
from openpose.skeleton import Skeleton


@dataclass(frozen=True, kw_only=True)
class RecordShard:
    """One shard.

    Attributes:
        name: of its file in the records' folder.
        bytes: its size.
        sha256: of its content.
        images: Examples in it.
        samples: Examples with a main person; None in records of an older format.
    """

    name: str
    bytes: int
    sha256: str
    images: int
    samples: int | None = None


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """An image that could not be used, and why."""

    file_name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ShardDescription:
    """A finished shard, as the JSON file beside it describes it.

    Attributes:
        name: of its file in the records' folder.
        bytes: its size.
        sha256: of its content.
        images: and the other counts are those of `openpose.records.picture.COUNTED`.
        bad_images: images that were left out.
    """

    name: str
    bytes: int
    sha256: str
    images: int
    people: int
    people_with_keypoints: int
    main_persons: int
    samples: int
    crowds: int
    bad_images: list[LeftOut]


@dataclass(frozen=True, kw_only=True)
class DenseTargets:
    """The dense targets that records hold: the size of the network's input, and the target parameters.

    Attributes:
        size: (height, width) of the network's input in pixels.
        stride: see `TargetParameters`, as for the next two.
        sigma: in pixels.
        limb_width: in cells.
    """

    size: tuple[int, int]
    stride: int = TargetParameters.stride
    sigma: float = TargetParameters.sigma
    limb_width: float = TargetParameters.limb_width

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in storage.to_json(self).items())


@dataclass(frozen=True, kw_only=True)
class Extents:
    """How large a split's main animals look, and which way round; decides the augmentation of other data than people's.

    Attributes:
        smallest: 5th percentile of the longer side of their boxes, as a share of their picture's height.
        largest: 95th percentile.
        turned: whether they lie in all directions, as seen from above.
        height: median of the pictures' heights, pixels; None in older manifests.
        aspect: median of the pictures' widths, as a share of their heights; None in older manifests.
    """

    smallest: float
    largest: float
    turned: bool
    height: int | None = field(default=None, metadata=storage.OMITTED)
    aspect: float | None = field(default=None, metadata=storage.OMITTED)


@dataclass(frozen=True, kw_only=True)
class RecordsInputs:
    """What decides a split's records.

    Attributes:
        data: fingerprint of the data set's split.
        split: its name.
        skeleton: of the labelled keypoints.
        targets: the dense targets; None if the records have none.
        format: of shards and manifest.
        shard_mb: megabytes of pictures in a shard.
        images_per_shard: images in a shard instead; 0 leaves it to shard_mb.
        max_bad_share: share of images that may be left out.
    """

    data: str
    split: str
    skeleton: Skeleton
    targets: DenseTargets | None
    format: int
    shard_mb: float
    images_per_shard: int
    max_bad_share: float


@dataclass(frozen=True, kw_only=True)
class RecordsManifest(storage.Manifest):
    """What the second step leaves for each split.

    Attributes:
        split: its name.
        skeleton: of the labelled keypoints.
        targets: the dense targets; None if the records have none.
        shards: in the order of their images.
        counts: images, people and more, by name.
        bad_images: those that were left out.
        extents: of the animals; None for people.
    """

    KIND = "records"
    inputs: RecordsInputs
    split: str
    skeleton: Skeleton
    targets: DenseTargets | None = None
    shards: list[RecordShard]
    counts: dict[str, int]
    bad_images: list[LeftOut]
    extents: Extents | None = field(default=None, metadata=storage.OMITTED)
