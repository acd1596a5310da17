"""The model that KServe serves: pictures in, people as JSON out.

KServe's first protocol (`/v1/models/openpose:predict`):

    {"instances": [{"image": {"b64": "<a picture's file in Base64>"}}]}
    {"predictions": [{"width": 640, "height": 480, "people": [
        {"score": 0.8, "box": [x, y, width, height], "keypoints": {"nose": [x, y, score], …}}]}]}

Coordinates are pixels of the given picture, turned as its EXIF says. A keypoint that was not found is missing.

KServe's second protocol (`/v2/models/openpose/infer`) has an input `image`, either pictures' files in Base64 (BYTES,
[N]) or their pixels (UINT8, RGB, [N, H, W, 3] or [H, W, 3]), and an output `people` (BYTES, [N]), each the JSON of one
prediction.
"""

import asyncio
import base64
import binascii
import json
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kserve
import numpy as np
from fastapi import HTTPException
from kserve.errors import InvalidInput
from kserve.protocol.infer_type import InferOutput, InferRequest, InferResponse
from prometheus_client import Counter, Gauge, Histogram

from openpose import image_file
from openpose.codec.decode import People
from openpose.errors import InputError
from openpose.predict.predictor import Predictor
from openpose.serving.batcher import Batcher, Full
from openpose.skeleton import Skeleton

NAME = "openpose"
MOST_PICTURES = 64  # in a request
MOST_PIXELS = 64_000_000  # of a picture
MOST_BYTES = 128 << 20  # of a request
MOST_WAITING = 256  # pictures

_PICTURES = Counter("openpose_pictures", "Pictures in which people were searched")
_PEOPLE = Counter("openpose_people", "People found")
_BATCH = Histogram("openpose_batch", "Pictures in a batch of the network", buckets=(1, 2, 4, 8, 16))
_WAITING = Gauge("openpose_waiting", "Pictures that wait for the network")


class PoseModel(kserve.Model):
    """Finds people.

    Args:
        predictor: the network and the decoder; another one may be set at any time, for pictures that come later.
        batch: most pictures that go through the network together.
        threads: that decode, resize and group.
    """

    def __init__(self, predictor: Predictor, batch: int, threads: int) -> None:
        super().__init__(NAME)
        self._threads = ThreadPoolExecutor(threads, "picture")
        self.predictor = predictor
        self._batcher = Batcher(batch, MOST_WAITING, self._threads, _BATCH.observe)
        _WAITING.set_function(lambda: self._batcher.waiting)
        self.ready = True

    def get_input_types(self) -> list[dict[str, Any]]:
        """For `/v2/models/openpose`."""
        return [{"name": "image", "datatype": "BYTES", "shape": [-1]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        """For `/v2/models/openpose`."""
        return [{"name": "people", "datatype": "BYTES", "shape": [-1]}]

    async def predict(
        self, payload: Any, headers: dict[str, str] | None = None, response_headers: dict[str, str] | None = None
    ) -> dict[str, Any] | InferResponse:
        """Answers a request of either protocol.

        Raises:
            InvalidInput: the request has no pictures, too many, or something that is no picture (status 400).
            HTTPException: too many pictures wait (status 503).
        """
        of_second = isinstance(payload, InferRequest)
        given = _of_second(payload) if of_second else _of_first(payload)
        if len(given) > MOST_PICTURES:
            raise InvalidInput(f"{len(given)} pictures in a request; at most {MOST_PICTURES} are allowed")
        try:
            found = await asyncio.gather(*(self._find(f"picture {number}", one) for number, one in enumerate(given)))
        except InputError as error:
            raise InvalidInput(str(error)) from error
        except Full as error:
            raise HTTPException(503, str(error), headers={"Retry-After": "1"}) from error
        if not of_second:
            return {"predictions": found}
        output = InferOutput("people", [len(found)], "BYTES", [json.dumps(one) for one in found])
        return InferResponse(payload.id or str(uuid.uuid4()), self.name, [output])

    async def _find(self, name: str, given: bytes | np.ndarray) -> dict[str, Any]:
        loop, predictor = asyncio.get_running_loop(), self.predictor
        if isinstance(given, bytes):
            image = await loop.run_in_executor(self._threads, image_file.decode, given, name, MOST_PIXELS)
        else:
            image = given
        people = await self._batcher.people(predictor, image)
        _PICTURES.inc()
        _PEOPLE.inc(len(people))
        height, width = image.shape[:2]
        return {"width": width, "height": height, "people": described(people, predictor.model.skeleton)}


def described(people: People, skeleton: Skeleton) -> list[dict[str, Any]]:
    """The people as JSON: score, box and keypoints by name."""
    found = []
    for keypoints, score in zip(people.keypoints, people.scores, strict=True):
        seen = keypoints[keypoints[:, 2] > 0]
        low, high = seen[:, :2].min(0), seen[:, :2].max(0)
        named = {name: _rounded(row) for name, row in zip(skeleton.parts, keypoints, strict=True) if row[2] > 0}
        box = _rounded(np.concatenate([low, high - low]))
        found.append({"score": round(float(score), 3), "box": box, "keypoints": named})
    return found


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 3) for value in values]


def _of_first(payload: Any) -> list[bytes]:
    """The pictures' files of a request of the first protocol."""
    example = '{"instances": [{"image": {"b64": "…"}}]}'
    if not isinstance(payload, Mapping) or not isinstance(payload.get("instances"), list) or not payload["instances"]:
        raise InvalidInput(f"the request must be JSON like {example}")
    files = []
    for number, instance in enumerate(payload["instances"]):
        image = instance.get("image") if isinstance(instance, Mapping) else None
        text = image.get("b64") if isinstance(image, Mapping) else None
        if not isinstance(text, str):
            raise InvalidInput(f"instance {number} has no image.b64; the request must be JSON like {example}")
        files.append(_from_base64(text, f"instance {number}"))
    return files


def _of_second(request: InferRequest) -> Sequence[bytes | np.ndarray]:
    """The pictures' files, or their pixels, of a request of the second protocol."""
    image = next((each for each in request.inputs if each.name == "image"), None)
    if image is None or image.datatype not in ("BYTES", "UINT8") or 0 in image.shape:
        raise InvalidInput("the request needs an input `image`: Base64 (BYTES, [N]) or pixels (UINT8, [N, H, W, 3])")
    if image.datatype == "BYTES":
        texts = (value.decode() if isinstance(value, bytes) else str(value) for value in image.as_numpy().ravel())
        return [_from_base64(text, f"picture {number}") for number, text in enumerate(texts)]
    pixels = image.as_numpy()
    if pixels.ndim not in (3, 4) or pixels.shape[-1] != 3 or pixels[..., 0].size > MOST_PIXELS:
        raise InvalidInput(
            f"the input `image` has shape {list(pixels.shape)}; it must be [N, H, W, 3] or [H, W, 3], with at most "
            f"{MOST_PIXELS:,} pixels"
        )
    return list(pixels if pixels.ndim == 4 else pixels[None])


def _from_base64(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text.partition("base64,")[2] or text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(f"{name}: not Base64 ({error})") from error
