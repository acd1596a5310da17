"""Finds people in pictures that arrive at any time.

The network runs on one batch after the other. What arrives meanwhile waits and makes the next batch, so nobody waits
for a batch to fill, and batches grow with the load.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from openpose.codec.decode import People
from openpose.predict.predictor import Maps, Predictor, Views


class Full(Exception):
    """Too many pictures wait."""


@dataclass(eq=False)  # a picture that waits is only equal to itself
class _Waiting:
    predictor: Predictor
    views: Views
    maps: "asyncio.Future[Maps]"


@dataclass
class Batcher:
    """Finds people for one event loop.

    Attributes:
        batch: most pictures that go through the network together.
        most_waiting: pictures that may wait for the network.
        threads: that resize pictures and decode maps.
        tell: called with the number of pictures in each batch.
    """

    batch: int
    most_waiting: int
    threads: ThreadPoolExecutor
    tell: Callable[[int], object] = lambda size: None
    _network: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "network"))
    _waiting: "deque[_Waiting]" = field(default_factory=deque)
    _running: "asyncio.Task[None] | None" = None

    @property
    def waiting(self) -> int:
        """Number of pictures that wait for the network."""
        return len(self._waiting)

    async def people(self, predictor: Predictor, image: np.ndarray) -> People:
        """The people in a picture, in its pixels.

        Args:
            predictor: the network and the decoder; pictures of different ones do not share a batch.
            image: RGB uint8 [H, W, 3].

        Raises:
            Full: too many pictures wait.
            InputError: the network's maps hold NaN or infinity.
        """
        if len(self._waiting) >= self.most_waiting:
            raise Full(f"{len(self._waiting)} pictures wait already; try again later")
        loop = asyncio.get_running_loop()
        views = await loop.run_in_executor(self.threads, predictor.views, image)
        waiting = _Waiting(predictor, views, loop.create_future())
        self._waiting.append(waiting)
        if self._running is None or self._running.done():
            self._running = loop.create_task(self._run())
        return await loop.run_in_executor(self.threads, predictor.people_in, await waiting.maps)

    async def _run(self) -> None:
        """Runs the network until no picture waits."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            group = self._next()
            network = group[0].predictor
            self.tell(len(group))
            try:
                found = await loop.run_in_executor(self._network, network.maps_of, [one.views for one in group])
            except Exception as error:
                for one in group:
                    if not one.maps.done():
                        one.maps.set_exception(error)
                continue
            for one, maps in zip(group, found, strict=True):
                if not one.maps.done():  # its client may have gone
                    one.maps.set_result(maps)

    def _next(self) -> list[_Waiting]:
        """Takes the picture that has waited longest, and others whose views have the same shapes."""
        first = self._waiting[0]
        alike = (
            one for one in self._waiting if one.predictor is first.predictor and one.views.shapes == first.views.shapes
        )
        group = list(itertools.islice(alike, self.batch))
        for one in group:
            self._waiting.remove(one)
        return group
