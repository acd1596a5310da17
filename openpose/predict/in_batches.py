"""Finds people in many pictures: threads read files and make results while the network runs on a batch."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from openpose.codec.decode import People
from openpose.errors import InputError
from openpose.predict.predictor import Maps, Predictor, Views

BATCH = 4  # pictures
THREADS = min(4, os.cpu_count() or 1)
_WAITING = 2  # how many batches of pictures may wait for others of their size

Key = TypeVar("Key")
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Picture(Generic[Key]):
    """A picture to be processed.

    Attributes:
        key: identifies it for the caller.
        load: returns it as RGB uint8 [H, W, 3], or raises InputError.
    """

    key: Key
    load: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Found(Generic[Key]):
    """A picture, RGB uint8 [H, W, 3], and the people in it, in its pixels."""

    key: Key
    image: np.ndarray
    people: People


@dataclass(frozen=True)
class _Loaded(Generic[Key]):
    key: Key
    image: np.ndarray
    views: Views


@dataclass(frozen=True)
class Finder:
    """Finds the people in any number of pictures while it keeps only a few of them in memory.

    Attributes:
        predictor: the network and the decoder.
        batch: number of pictures of one size that go through the network together.
        threads: for reading, decoding and finishing.
        failed: called with the error message of each picture that cannot be read; the others go on.
    """

    predictor: Predictor
    batch: int
    threads: ThreadPoolExecutor
    failed: Callable[[str], object]

    def find(self, pictures: Iterable[Picture[Key]], finish: Callable[[Found[Key]], Out]) -> Iterator[Out]:
        """Yields the result of `finish`, which the threads call, for each picture; in order if all have one size.

        Raises:
            InputError: the network's maps hold NaN or infinity, or `finish` raised it.
        """

        def decoded(pair: tuple[_Loaded[Key], Maps]) -> Out:
            one, maps = pair
            return finish(Found(one.key, one.image, self.predictor.people_in(maps)))

        loaded = self._readable(in_order(self.threads, self._load, pictures, 2 * self.batch))
        return in_order(self.threads, decoded, self._maps(loaded), 2 * self.batch)

    def _load(self, picture: Picture[Key]) -> _Loaded[Key] | InputError:
        try:
            image = picture.load()
        except InputError as error:
            return error
        return _Loaded(picture.key, image, self.predictor.views(image))

    def _readable(self, loaded: Iterable[_Loaded[Key] | InputError]) -> Iterator[_Loaded[Key]]:
        for one in loaded:
            if isinstance(one, InputError):
                self.failed(str(one))
            else:
                yield one

    def _maps(self, loaded: Iterable[_Loaded[Key]]) -> Iterator[tuple[_Loaded[Key], Maps]]:
        for group in _batches(loaded, self.batch):
            yield from zip(group, self.predictor.maps_of([one.views for one in group]), strict=True)


def in_order(threads: ThreadPoolExecutor, work: Callable[[In], Out], items: Iterable[In], ahead: int) -> Iterator[Out]:
    """Like `map` on threads, but takes items lazily: at most `ahead` results wait."""
    running: deque[Future[Out]] = deque()
    for item in items:
        running.append(threads.submit(work, item))
        if len(running) > ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def _batches(loaded: Iterable[_Loaded[Key]], size: int) -> Iterator[list[_Loaded[Key]]]:
    """Yields groups of pictures whose views have the same shapes: `size` pictures, or fewer when too many wait."""
    waiting: dict[Any, list[_Loaded[Key]]] = {}
    for one in loaded:
        group = waiting.setdefault(one.views.shapes, [])
        group.append(one)
        if len(group) == size:
            yield waiting.pop(one.views.shapes)
        elif sum(map(len, waiting.values())) > _WAITING * size:
            yield waiting.pop(next(iter(waiting)))  # the one that has waited longest
    yield from waiting.values()
