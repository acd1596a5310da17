"""Every network: shapes of every stage, published sizes, plain output layers."""

import keras
import numpy as np
import pytest

from openpose import networks, skeleton
from openpose.errors import InputError

OPENPOSE = skeleton.get("openpose18")


@pytest.mark.parametrize("name", sorted(networks.NETWORKS))
def test_each_stage_gives_all_maps_for_any_size(name: str) -> None:
    model = networks.build(name, OPENPOSE, width=0.25, stages=3)
    outputs = model(np.zeros((2, 48, 64, 3), np.float32))
    assert [tuple(output.shape) for output in outputs] == [(2, 6, 8, 57)] * 3
    assert tuple(model(np.zeros((1, 32, 24, 3), np.float32))[-1].shape) == (1, 4, 3, 57)


def test_number_of_parameters_is_the_published_one() -> None:
    assert networks.build("lightweight", OPENPOSE).count_params() == pytest.approx(4.1e6, rel=0.01)
    assert len(networks.build("mobilenet_thin", OPENPOSE).outputs) == 6
    assert len(networks.build("lightweight", OPENPOSE).outputs) == 2


@pytest.mark.parametrize("name", sorted(networks.NETWORKS))
def test_output_layers_are_plain_convolutions(name: str) -> None:
    model = networks.build(name, OPENPOSE, width=0.25)
    stages = [model.get_layer(f"stage{number}") for number in range(1, len(model.outputs) + 1)]
    sources = [tensor._keras_history.operation for stage in stages for tensor in stage.input]
    for layer in sources:
        assert isinstance(layer, keras.layers.Conv2D)
        assert layer.use_bias
        assert layer.activation is keras.activations.linear


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "mobilnet"}, "'mobilnet'; choose one of: lightweight, mobilenet_thin"),
        ({"name": "lightweight", "width": 0.0}, "width 0.0"),
        ({"name": "lightweight", "stages": -1}, "-1 stages"),
    ],
)
def test_what_makes_no_network_is_said(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        networks.build(skeleton=OPENPOSE, **arguments)
