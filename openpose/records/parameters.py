"""What decides the content of the shards, besides the data. Free of TensorFlow."""

from dataclasses import dataclass
from typing import Annotated

from openpose.parameters import Limits, Parameters


@dataclass(frozen=True)
class RecordParameters(Parameters):
    """What decides the content of the shards, besides the data."""

    shard_mb: Annotated[float, Limits(least=0.001)] = 128.0
    """Megabytes of pictures in one TFRecord shard."""
    images_per_shard: Annotated[int, Limits(least=0)] = 0
    """Images in one TFRecord shard instead; 0 leaves it to shard_mb."""
    max_bad_share: Annotated[float, Limits(least=0)] = 0.01
    """Share of images that may be unreadable; they are left out and named. More are an error."""
