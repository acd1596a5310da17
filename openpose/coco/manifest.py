"""The manifest of a data set: where the images and pictures of each split are, and what they hold."""

from dataclasses import dataclass, field

from openpose import storage
from openpose.records.manifest import Extents
from openpose.skeleton import OPENPOSE18, Skeleton


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file or folder that the data set consists of.

    Attributes:
        place: where it is.
        name: its name in the data set.
        bytes: its size.
        sha256: of its content; of a folder, of all names and sizes.
        url: where it was downloaded from; None if it was there.
    """

    place: str
    name: str
    bytes: int
    sha256: str
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class MissingPictures:
    """How many of a split's pictures are missing, and the names of some."""

    missing: int
    names: list[str]


@dataclass(frozen=True, kw_only=True)
class DataSplit:
    """One split of the data set.

    Attributes:
        people: file with the split's images and their people; see `openpose.coco.index`.
        index: file that says where each of them begins in `people`.
        counts: images, people and more, by name.
        keypoints: how often each keypoint is labelled.
        bad: the pictures that are missing.
        pictures: folder or archive of the pictures.
        fingerprint: hash of the split's content, wherever its files are.
        extents: of the animals; None for people.
        annotations: what became of the annotations, in words, and of how many; the numbers add up to all of them.
            None in a manifest of an older version.
        corrections: what was read differently than it was written, in words, and how often.
        exif: `turned` or `stored`: what annotations follow where EXIF turns a picture and its size does not tell.
            None in a manifest of an older version, where it was `stored`.
        not_main: why labelled people are not main persons, in words, and how many.
    """

    people: str
    index: str
    counts: dict[str, int]
    keypoints: dict[str, int]
    bad: MissingPictures
    pictures: str
    fingerprint: str
    extents: Extents | None = field(default=None, metadata=storage.OMITTED)
    annotations: dict[str, int] | None = field(default=None, metadata=storage.OMITTED)
    corrections: dict[str, int] | None = field(default=None, metadata=storage.OMITTED)
    exif: str | None = field(default=None, metadata=storage.OMITTED)
    not_main: dict[str, int] | None = field(default=None, metadata=storage.OMITTED)


@dataclass(frozen=True, kw_only=True)
class DataInputs:
    """What decides a data manifest.

    Attributes:
        pictures: where each file's pictures are, because they stay there.
        content: checksums of each split's annotations and pictures.
        val_share: share of the training file's images that is held out for validation.
        seed: of the images' order and of the share.
        skeleton: the skeleton and category that were asked for, unless the data's own are meant.
        exif: what annotations follow, unless that is to be found out.
    """

    pictures: dict[str, str]
    content: dict[str, list[str]]
    val_share: float
    seed: int
    skeleton: dict[str, str] | None = field(default=None, metadata=storage.OMITTED)
    exif: str | None = field(default=None, metadata=storage.OMITTED)


@dataclass(frozen=True, kw_only=True)
class DataManifest(storage.Manifest):
    """What the download step leaves.

    Attributes:
        source: name, folder or address that the data set came from, without a password.
        files: what it consists of.
        splits: `train` and `val`.
        skeleton: of the labelled keypoints.
        notes: what of the skeleton was derived from names and annotations, for people.
        warnings: what is probably wrong in the data, in sentences.
        report: page with counts and pictures.
    """

    KIND = "data"
    inputs: DataInputs
    source: str
    files: list[DataFile]
    splits: dict[str, DataSplit]
    skeleton: Skeleton = OPENPOSE18
    notes: list[str] = field(default_factory=list)
    warnings: list[str] | None = field(default=None, metadata=storage.OMITTED)
    report: str
