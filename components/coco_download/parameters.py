"""What decides a data set, besides its files."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from openpose.errors import InputError
from openpose.parameters import Limits, Parameters


@dataclass(frozen=True)
class DataParameters(Parameters):
    """What decides a data set, besides its files.

    Raises:
        InputError: a value cannot be used, or a validation file and a held-out share are both given.
    """

    train_annotations: str = ""
    """The training split's JSON file, or a zip archive of it, below the source, when its name is not COCO's."""
    val_annotations: str = ""
    """The validation split's JSON file, when its name is not COCO's."""
    train_pictures: str = ""
    """The training split's folder or zip archive of pictures, when its name is not COCO's."""
    val_pictures: str = ""
    """The validation split's folder or zip archive of pictures, when its name is not COCO's."""
    val_share: Annotated[float, Limits(least=0, below=1)] = 0.0
    """Share of the training file's images that is held out for validation, instead of a validation file."""
    data_seed: Annotated[int, tyro.conf.arg(aliases=["--seed"])] = 0
    """Seed of the order of the images in the records, and of the share that is held out."""
    unpack: bool = False
    """Unpack the archives of pictures, if you want files; they are read from archives as well."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.val_share and (self.val_annotations or self.val_pictures):
            raise InputError(
                "val_share holds a part of the training file out; give it, or a validation file, but not both"
            )
