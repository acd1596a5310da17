"""The queue between the input pipeline, which makes batches, and the training, which takes them."""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

LENGTH = 2  # batches that the pipeline makes ahead


class BatchQueue:
    """Makes batches ahead, and counts those that wait."""

    def __init__(self) -> None:
        self._made, self._taken, self._replicas = 0, 0, 1

    @property
    def size(self) -> int:
        """Number of batches that are made and not yet taken: 0 when the training waits for its input."""
        return max(0, self._made - self._taken) // self._replicas

    def ahead(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """The same batches, `LENGTH` of them made ahead."""

        def counted(batch: Any) -> Any:
            tf.numpy_function(self._count, [], [])
            return batch

        return batches.map(counted).prefetch(LENGTH)

    def taken(self, batches: Iterator[Any], replicas: int) -> Iterator[Any]:
        """The same global batches; each takes one batch per replica of this process out of the queue."""
        self._replicas = replicas
        for batch in batches:
            self._taken += replicas
            yield batch

    def _count(self) -> None:
        self._made += 1
