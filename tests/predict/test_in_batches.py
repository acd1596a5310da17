"""Every picture comes out once, whatever its size, and only a few are in memory at a time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from openpose import model_files, skeleton
from openpose.errors import InputError
from openpose.predict import in_batches
from openpose.predict.predictor import Predictor

OPENPOSE = skeleton.get("openpose18")


class Network:
    """Returns empty maps, and records the shapes of its batches."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        count, height, width, _ = images.shape
        self.batches.append((count, height, width))
        return tf.zeros([count, height // 8, width // 8, OPENPOSE.num_maps])

    def predictor(self) -> Predictor:
        return Predictor(model_files.Model(Path("network"), "rgb", OPENPOSE, self, 8), height=8)


def picture(key: int, width: int) -> in_batches.Picture[int]:
    return in_batches.Picture(key, lambda: np.full((8, width, 3), key, np.uint8))


@settings(max_examples=30, deadline=None)
@given(widths=st.lists(st.sampled_from([8, 16, 24, 32]), max_size=40), batch=st.integers(1, 5))
def test_each_comes_out_once_with_its_own_picture(widths: list[int], batch: int) -> None:
    network = Network()
    with ThreadPoolExecutor(2) as threads:
        find = in_batches.Finder(network.predictor(), batch, threads, pytest.fail).find
        found = list(find((picture(key, width) for key, width in enumerate(widths)), lambda one: one))
    assert sorted(one.key for one in found) == list(range(len(widths)))
    assert all((one.image == one.key).all() and one.image.shape[1] == widths[one.key] for one in found)
    assert all(count <= batch for count, *_ in network.batches)
    assert sum(count for count, *_ in network.batches) == len(widths)
    if len(set(widths)) == 1:
        assert [one.key for one in found] == list(range(len(widths))), "a video's frames stay in order"
        assert len(network.batches) == -(-len(widths) // batch)


@pytest.mark.slow
def test_few_are_in_memory() -> None:
    """Only a few batches of a thousand pictures of many sizes are read ahead of the results."""
    begun = ended = most = 0

    def pictures() -> Iterator[in_batches.Picture[int]]:
        nonlocal begun, most
        for key in range(1000):
            begun, most = begun + 1, max(most, begun + 1 - ended)
            yield picture(key % 256, 8 * (1 + key % 7))

    with ThreadPoolExecutor(2) as threads:
        for _ in in_batches.Finder(Network().predictor(), 4, threads, pytest.fail).find(pictures(), lambda one: one):
            ended += 1
    assert ended == begun == 1000
    assert most <= 32


def test_unreadable_picture_is_reported_and_skipped() -> None:
    def broken() -> np.ndarray:
        raise InputError("b.jpg: broken")

    told: list[str] = []
    pictures = [picture(1, 16), in_batches.Picture(2, broken), picture(3, 16)]
    with ThreadPoolExecutor(2) as threads:
        found = list(
            in_batches.Finder(Network().predictor(), 2, threads, told.append).find(pictures, lambda one: one.key)
        )
    assert (found, told) == ([1, 3], ["b.jpg: broken"])


def test_failed_write_ends_the_run() -> None:
    def write(found: in_batches.Found[int]) -> None:
        raise InputError("no space left")

    with ThreadPoolExecutor(2) as threads, pytest.raises(InputError, match="no space left"):
        list(in_batches.Finder(Network().predictor(), 2, threads, pytest.fail).find([picture(1, 16)], write))
