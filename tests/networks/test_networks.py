"""Every network: shapes of every stage, published sizes, plain output layers, and the table of them."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from openpose import networks, skeleton
from openpose.errors import InputError
from openpose.model_files import inference
from openpose.networks import __main__ as table
from openpose.networks.layers import Norm, ResizeLike

OPENPOSE = skeleton.get("openpose18")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(networks.NAMES))
def test_each_stage_gives_all_maps_for_any_size_by_plain_convolutions(name: str) -> None:
    stride = networks.get(name).stride
    model = networks.build(name, OPENPOSE, width=0.25, stages=3)
    outputs = model(np.zeros((2, 48, 64, 3), np.float32))
    assert [tuple(output.shape) for output in outputs] == [(2, 48 // stride, 64 // stride, 57)] * 3
    assert tuple(model(np.zeros((1, 32, 24, 3), np.float32))[-1].shape) == (1, 32 // stride, 24 // stride, 57)
    stages = [model.get_layer(f"stage{number}") for number in (1, 2, 3)]
    for layer in (tensor._keras_history.operation for stage in stages for tensor in stage.input):
        assert isinstance(layer, keras.layers.Conv2D)
        assert layer.use_bias
        assert layer.activation is keras.activations.linear


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(networks.NAMES))
def test_layers_of_our_own_are_known_wherever_a_file_is_read(name: str) -> None:
    """`model_files` imports `networks.layers` alone, not the networks' modules."""
    own = {type(layer).__module__ for layer in networks.build(name, OPENPOSE, width=0.25).layers}
    assert {module for module in own if module.startswith("openpose")} <= {"openpose.networks.layers"}


@pytest.mark.slow
def test_cmu_has_the_parameters_of_the_published_layers() -> None:
    """Side, input and output channels of every convolution in tf-pose-estimation's network_cmu.py."""
    vgg19 = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), *[(256, 256)] * 3, (256, 512), (512, 512)]
    layers = [(3, *convolution) for convolution in [*vgg19, (512, 256), (256, 128)]]
    for maps in (38, 19):
        layers += [*[(3, 128, 128)] * 3, (1, 128, 512), (1, 512, maps)]
        layers += 5 * [(7, 128 + 57, 128), *[(7, 128, 128)] * 4, (1, 128, 128), (1, 128, maps)]
    published = sum(side**2 * ins * outs + outs for side, ins, outs in layers)
    assert networks.build("cmu", OPENPOSE).count_params() == published == 52_311_446
    # VGG16's third block has one convolution less.
    assert networks.build("vgg", OPENPOSE).count_params() == published - (3 * 3 * 256 * 256 + 256)


def test_lightweight_is_as_large_and_as_fast_as_published() -> None:
    """OpenVINO's page on human-pose-estimation-0001, the same network: 4.099 M and 15.435 GFLOPs at 456×256."""
    model = networks.build("lightweight", OPENPOSE)
    assert model.count_params() == pytest.approx(4.099e6, rel=0.01)
    assert table.flops(model, 256, 456) == pytest.approx(15.435e9, rel=0.01)


# What tf-pose-estimation's graphs have besides: 1×1 depthwise kernels before 1×1 convolutions.
DEPTHWISE = 2 * (64 + 256 + 5 * (64 + 64))


@pytest.mark.slow
def test_mobilenet_thin_has_the_parameters_of_the_published_graph() -> None:
    folded = inference.fold_batch_norm(networks.build("mobilenet_thin", OPENPOSE))
    assert folded.count_params() == 1_930_872 - DEPTHWISE


@pytest.mark.slow
def test_mobilenet_v2_small_has_the_parameters_of_the_published_graph() -> None:
    model = networks.build("mobilenet_v2_small", OPENPOSE)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    # The graph has no moving statistics in the backbone, and norms with all four in place of the outputs' biases.
    lost = sum(layer.moving_mean.shape[0] * 2 for layer in norms if layer.name.startswith("backbone"))
    assert model.count_params() - lost == 484_866 - DEPTHWISE - 6 * 57 * 3


def test_enlarging_interpolates_from_the_first_cell_on() -> None:
    x = np.array([0.0, 6.0, 3.0], np.float32).reshape(1, 1, 3, 1)
    to = [np.zeros((1, 1, width, 7), np.float32) for width in (6, 5)]
    np.testing.assert_allclose(np.ravel(ResizeLike()([x, to[0]])), [0, 3, 6, 4.5, 3, 3])
    np.testing.assert_allclose(np.ravel(ResizeLike()([x, to[1]])), [0, 3.6, 5.4, 3.6, 3], rtol=1e-6)


def test_operations_are_two_for_each_multiply_add() -> None:
    model = networks.build("mobilenet_thin", OPENPOSE, stages=1)
    first = keras.Model(model.input, model.get_layer("backbone1_pointwise").output)
    at_half = (32 // 2) ** 2
    assert table.flops(first, 32, 32) == 2 * at_half * (3 * 3 * 3 * 24 + 3 * 3 * 24 + 24 * 48)


@pytest.mark.slow
def test_table_has_every_network(capsys: pytest.CaptureFixture[str]) -> None:
    table.main()
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[1:-1]] == list(networks.NAMES)
    (lightweight,) = (line for line in printed if line.startswith("lightweight "))
    assert "  4.11 M  " in lightweight


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "mobilnet"}, "'mobilnet'; choose one of: cmu, lightweight, mobilenet, mobilenet_accurate"),
        ({"name": "lightweight", "width": 0.0}, "width is 0.0; it must be above 0"),
        ({"name": "lightweight", "stages": -1}, "cannot have -1 stages"),
    ],
)
def test_unusable_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        networks.check(**arguments)
    with pytest.raises(InputError, match=message):
        networks.build(skeleton=OPENPOSE, **arguments)


def test_table_is_read_without_tensorflow() -> None:
    code = "import sys, openpose.networks as n; n.check(n.NAMES[0]); print({'keras', 'tensorflow'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_norm_in_one_operation_is_keras_norm(dtype: str) -> None:
    numbers = np.random.default_rng(0)
    x = tf.constant(numbers.normal(2, 3, (4, 9, 7, 16)).astype(np.float32))
    factor, shift = numbers.uniform(0.5, 2, 16), numbers.uniform(-1, 1, 16)
    found = []
    for norm in (Norm(dtype=dtype), keras.layers.BatchNormalization(momentum=Norm().momentum, dtype=dtype)):
        norm.build(x.shape)
        norm.gamma.assign(factor)
        norm.beta.assign(shift)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = norm(x, training=True)
            total = tf.reduce_sum(tf.cast(y, tf.float32) ** 3)
        found.append([y, *tape.gradient(total, [x, norm.gamma.value, norm.beta.value]), *norm.get_weights()])
    for ours, theirs in zip(*found, strict=True):
        close = 1e-5 if dtype == "float32" else 0.02
        np.testing.assert_allclose(ours, theirs, atol=close * np.abs(theirs).max())
