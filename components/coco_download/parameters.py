"""Parameters of the data step."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from openpose.errors import InputError
from openpose.parameters import Limits, Parameters


@dataclass(frozen=True)
class DataParameters(Parameters):
    """The parameters that decide a data set, together with its files.

    Raises:
        InputError: a value cannot be used, or both a validation file and a held-out share are given.
    """

    train_annotations: str = ""
    """The training split's JSON file, or a zip archive of it, relative to the source, if its name is not COCO's."""
    val_annotations: str = ""
    """The validation split's JSON file, or a zip archive of it, relative to the source, if its name is not COCO's."""
    train_pictures: str = ""
    """The training split's picture folder or zip archive, relative to the source, if its name is not COCO's."""
    val_pictures: str = ""
    """The validation split's picture folder or zip archive, relative to the source, if its name is not COCO's."""
    val_share: Annotated[float, Limits(least=0, below=1)] = 0.0
    """Share of the training images to hold out for validation, instead of using a validation file; data without one
    get 0.2 by default, if their names are not COCO's."""
    skeleton: str = "auto"
    """Keypoints and limbs: auto, which takes the data's own and makes openpose18 of COCO's 17 keypoints; openpose18 or
    crowdpose14; or a file (.yaml, .json, or mmpose's .py)."""
    category: str = ""
    """Name of the category that is trained, if several in the annotations have keypoints."""
    exif: Literal["auto", "turned", "stored"] = "auto"
    """What annotations follow where EXIF turns a picture and its size does not tell: turned, the picture as viewers
    show it; stored, its pixels; auto decides by the split's other pictures, or else takes turned."""
    data_seed: Annotated[int, tyro.conf.arg(aliases=["--seed"])] = 0
    """Random seed of the image order in the records and of the held-out share."""
    unpack: bool = False
    """Unpack the picture archives into folders. This is optional: pictures can also be read from archives."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.val_share and (self.val_annotations or self.val_pictures):
            raise InputError(
                "val_share holds out a part of the training images; give it or a validation file, not both"
            )
