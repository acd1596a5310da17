"""From pictures to people in one graph, which the files that return people contain.

The pictures are prepared, go through the network, and its maps are decoded one picture after the other. All operations
are such as TensorFlow, ONNX Runtime and TensorFlow Lite have.
"""

import json
from dataclasses import asdict, replace
from typing import Any

import tensorflow as tf

from openpose.codec.decode import DecodeParameters
from openpose.codec.graph_decode import GraphDecoder, max_people
from openpose.model_files.facts import Facts
from openpose.model_files.inference import GRAPH_INPUT, GRAPH_OUTPUT, Source
from openpose.model_files.preparation import prepared
from openpose.skeleton import Skeleton

PICTURES = tf.TensorSpec([None, None, None, 3], tf.uint8, "pictures")
OUTPUTS = ("keypoints", "scores", "count")


def decoder(source: Source) -> GraphDecoder:
    """The decoder of a network's maps."""
    skeleton = Skeleton.from_text(source.skeleton)
    parameters = DecodeParameters(max_peaks=source.max_peaks or None)
    return GraphDecoder(skeleton, parameters.filled(skeleton), source.max_people or max_people(skeleton))


def limits(source: Source) -> dict[str, Any]:
    """How many people the files return at most, and the decoder's thresholds."""
    made = decoder(source)
    return {"max_people": made.max_people, "thresholds": asdict(made.parameters)}


def facts(source: Source) -> Facts:
    """What the files say: of the people that they return names, limbs, limits and thresholds, as JSON."""
    of = decoder(source).skeleton
    people = {"parts": of.parts, "limbs": of.limb_names, "category": of.category, **limits(source)}
    return replace(source.facts, people=json.dumps(people, ensure_ascii=False))


def traced(source: Source, network: tf.compat.v1.GraphDef) -> Any:
    """A concrete function from `pictures` to people, with operations that runtimes other than TensorFlow have.

    Args:
        source: the network.
        network: one of its graphs.
    """

    def found(pictures: tf.Tensor) -> dict[str, tf.Tensor]:
        images, scale = prepared(pictures, source.stride, source.height)
        ends = {GRAPH_INPUT: images}, [f"{GRAPH_OUTPUT}:0"]
        (maps,) = tf.graph_util.import_graph_def(network, *ends, name="network")
        return people(maps, scale, source)

    return tf.function(found, input_signature=[PICTURES], autograph=False).get_concrete_function()


def people(maps: tf.Tensor, scale: tf.Tensor, source: Source) -> dict[str, tf.Tensor]:
    """The people in a network's maps, best first; the entries after the last one are 0.

    Args:
        maps: float32 [N, h, w, maps].
        scale: float32 [2], y and x: size of the network's input without padding, relative to the pictures' size.
        source: the network.

    Returns:
        keypoints: float32 [N, max_people, K, 3]: x, y in pixels of the picture, and score; 0 where none was found.
        scores: float32 [N, max_people].
        count: int32 [N].
    """
    keypoints, scores, count = _each(maps, decoder(source))
    xy = (keypoints[..., :2] + 0.5) * (source.stride / scale[::-1]) - 0.5
    xy = tf.where(keypoints[..., 2:] > 0, xy, 0.0)
    return dict(zip(OUTPUTS, (tf.concat([xy, keypoints[..., 2:]], -1), scores, count), strict=True))


def _each(maps: tf.Tensor, decoder: GraphDecoder) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Keypoints in cells, scores and count of each picture's people."""
    skeleton, most = decoder.skeleton, decoder.max_people
    # An imported graph may not say the shape of its output.
    maps = tf.reshape(maps, [*(tf.shape(maps)[axis] for axis in range(3)), skeleton.num_maps])
    shapes = ([None, most, skeleton.num_parts, 3], [None, most], [None])

    def decoded(number: tf.Tensor, keypoints: Any, scores: Any, count: Any) -> tuple[tf.Tensor, ...]:
        own = tf.gather(maps, number)
        found = decoder.decode(own[..., : skeleton.num_heatmaps], own[..., skeleton.num_heatmaps :])
        so_far = zip((keypoints, scores, count), found, strict=True)
        return number + 1, *(tf.concat([rows, row[None]], 0) for rows, row in so_far)

    # The first row stands for nothing, because TensorFlow Lite's operations may fail on empty tensors.
    start = (tf.zeros([1, most, skeleton.num_parts, 3]), tf.zeros([1, most]), tf.zeros([1], tf.int32))
    _, *found = tf.while_loop(
        lambda number, *_: number < tf.shape(maps)[0],
        decoded,
        (tf.constant(0), *start),
        (tf.TensorShape([]), *map(tf.TensorShape, shapes)),
    )
    keypoints, scores, count = (rows[1:] for rows in found)
    return keypoints, scores, count
