"""Parameters of the records. This module does not import TensorFlow."""

from dataclasses import dataclass
from typing import Annotated

from openpose.parameters import Limits, Parameters


@dataclass(frozen=True)
class RecordParameters(Parameters):
    """The parameters that decide the content of the shards, together with the data."""

    shard_mb: Annotated[float, Limits(least=0.001)] = 128.0
    """Size of one TFRecord shard, in megabytes of pictures."""
    images_per_shard: Annotated[int, Limits(least=0)] = 0
    """Number of images in one TFRecord shard; 0 uses shard_mb instead."""
    max_bad_share: Annotated[float, Limits(least=0)] = 0.01
    """Largest share of images that may be unreadable. They are left out and listed; a larger share is an error."""
