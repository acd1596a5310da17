"""The report on a data set: counts, labelled keypoints, and pictures with their people."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from openpose import draw, image_file
from openpose.coco.manifest import DataSplit
from openpose.evaluation.gallery import JPEG_QUALITY, shrink
from openpose.evaluation.truth import true_people
from openpose.records.picture import Picture, counted
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
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> str:
    """Renders the report on a data set.

    Args:
        title: page title.
        splits: each split's part of the data manifest.
        samples: some pictures of every split.
        skeleton: of the labelled keypoints.
        notes: what of the skeleton was derived.
        warnings: what is probably wrong in the data.
    """
    counts = _rows([split.counts for split in splits.values()])
    tables = {
        "Counts": {counted(name, skeleton.category): row for name, row in counts.items()},
        "Labelled keypoints": _rows([split.keypoints for split in splits.values()]),
        "What became of the annotations": _rows([split.annotations or {} for split in splits.values()]),
        "Labelled, but no sample is centred on them": _rows([split.not_main or {} for split in splits.values()]),
        "Read differently than written": _rows([split.corrections or {} for split in splits.values()]),
    }
    gallery = [
        (f"{split}: {sample.picture.file_name}", _drawn(sample, skeleton))
        for split, some in samples.items()
        for sample in some[: SAMPLES_SHOWN // len(samples)]
    ]
    return page.render(
        title=title,
        split_names=list(splits),
        tables={
            caption: {name.replace("_", " "): row for name, row in rows.items()}
            for caption, rows in tables.items()
            if rows
        },
        warnings=warnings,
        skeleton=None if skeleton.is_known else _facts(skeleton) | _looks(splits),
        skeleton_notes=notes,
        gallery=gallery,
        gallery_title="Pictures with their people" if skeleton.of_people else f"Pictures with each {skeleton.category}",
    )


def _facts(skeleton: Skeleton) -> dict[str, str]:
    """The skeleton in words, name -> value."""
    return {
        "name": f"{skeleton.name}, of the category {skeleton.category}",
        "limbs": ", ".join(f"{a}–{b}" for a, b in skeleton.limb_names) or "none",
        "mirror pairs": ", ".join(f"{a}–{b}" for a, b in skeleton.source_pairs) or "none",
        "OKS sigmas": ", ".join(
            f"{name} {sigma:g}" for name, sigma in zip(skeleton.source_parts, skeleton.source_sigmas, strict=True)
        ),
    }


def _looks(splits: Mapping[str, DataSplit]) -> dict[str, str]:
    """How large the training split's instances are, which decides the augmentation."""
    extents = splits["train"].extents
    if extents is None:
        return {}
    where = "in all directions" if extents.turned else "mostly one way up"
    share = f"{100 * extents.smallest:.0f}–{100 * extents.largest:.0f} % of the picture's height"
    return {"seen": f"{share} (longer side of the box, 5th to 95th percentile), {where}"}


def _rows(counts: Sequence[Mapping[str, int]]) -> dict[str, list[str]]:
    """A table's rows: name -> one value for each split."""
    names = dict.fromkeys(name for of_split in counts for name in of_split)
    return {name: [f"{of_split.get(name, 0):,}" for of_split in counts] for name in names}


def _drawn(sample: Sample, skeleton: Skeleton) -> str:
    """The picture with its people, as a data URI."""
    with Image.open(io.BytesIO(sample.encoded)) as opened:
        image = np.asarray(opened.convert("RGB"))
    drawn = draw.skeletons(image, true_people(sample.picture, skeleton), skeleton)
    return page.uri(image_file.jpeg(shrink(drawn), JPEG_QUALITY))
