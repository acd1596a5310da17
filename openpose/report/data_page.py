"""The report on a data set: counts, labelled keypoints, and pictures with their people."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from openpose import draw
from openpose.coco.manifest import DataSplit
from openpose.evaluation.gallery import shrink
from openpose.evaluation.truth import true_people
from openpose.records.picture import Picture
from openpose.report import page
from openpose.skeleton import Skeleton

SAMPLES_SHOWN = 12  # over all splits


@dataclass(frozen=True)
class Sample:
    """A picture of a data set.

    Attributes:
        picture: its size and people.
        encoded: the bytes of its file.
    """

    picture: Picture
    encoded: bytes


def data_page(
    title: str,
    splits: Mapping[str, DataSplit],
    samples: Mapping[str, Sequence[Sample]],
    skeleton: Skeleton,
) -> str:
    """Renders the report on a data set.

    Args:
        title: page title.
        splits: each split's part of the data manifest.
        samples: some pictures of every split.
        skeleton: of the people.
    """
    tables = {
        "Counts": _rows([split.counts for split in splits.values()]),
        "Labelled keypoints": _rows([split.keypoints for split in splits.values()]),
    }
    gallery = [
        (f"{split}: {sample.picture.file_name}", _drawn(sample, skeleton))
        for split, some in samples.items()
        for sample in some[: SAMPLES_SHOWN // len(samples)]
    ]
    return page.render(title=title, split_names=list(splits), tables=tables, gallery=gallery)


def _rows(counts: Sequence[Mapping[str, int]]) -> dict[str, list[str]]:
    """A table's rows: name -> one value for each split."""
    return {name: [f"{of_split[name]:,}" for of_split in counts] for name in counts[0]}


def _drawn(sample: Sample, skeleton: Skeleton) -> str:
    """The picture with its people, as a data URI."""
    with Image.open(io.BytesIO(sample.encoded)) as opened:
        image = np.asarray(opened.convert("RGB"))
    return page.data_uri(shrink(draw.skeletons(image, true_people(sample.picture, skeleton), skeleton)))
