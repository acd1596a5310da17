"""Every export format holds the same network; a file that is not an OpenPose model gets a clear error."""

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import TensorProto, helper

from openpose import image_file, model_files, networks, skeleton, storage
from openpose.errors import InputError
from openpose.model_files import formats, keras_file, preparation, saved_model
from openpose.model_files.facts import Facts
from openpose.model_files.formats import FORMATS, SAVED_MODEL
from openpose.model_files.inference import Source
from openpose.networks.layers import Norm
from openpose.training import initial_weights
from tests import tiny
from tests.skeleton import made_up

OPENPOSE = skeleton.get("openpose18")
# The other networks differ from one of these, or from `mobilenet_thin`, only in their widths.
KINDS = ("cmu", "lightweight", "mobilenet", "mobilenet_v2_small", "unet")


def pictures(count: int = 2, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *size, 3)).astype(np.float32)


def built(name: str, statistics_of_batch: bool = False) -> keras.Model:
    """A small network whose values are about as large as a trained one's."""
    keras.utils.set_random_seed(0)
    model = networks.build(name, OPENPOSE, width=0.2, stages=2)
    norms = [layer for layer in model.layers if isinstance(layer, Norm)]
    for norm in norms:
        norm.batch_statistics = True
    if not statistics_of_batch:
        initial_weights.calibrate(model, [norm.name for norm in norms], [pictures()])
    return model


def source(model: keras.Model, pixels: str = "bgr") -> Source:
    return Source(model, pixels, OPENPOSE.name, networks.get(model.name).stride, 64, [pictures(1)])


def write(name: str, made: Source, folder: Path) -> Path:
    path = folder / FORMATS[name].file
    FORMATS[name].write(made, path)
    return path


def joined(model: model_files.Model, images: np.ndarray) -> np.ndarray:
    return np.concatenate(model.maps(images), -1)


def assert_close(format: str, found: np.ndarray, expected: np.ndarray) -> None:
    """Maps differ by no more than the format may."""
    difference = np.abs(found - expected) / max(1, np.abs(expected).max())
    assert difference.max() <= FORMATS[format].largest, format
    assert difference.mean() <= FORMATS[format].mean, format


@pytest.fixture(scope="module")
def made() -> Source:
    return source(built("mobilenet_thin"))


@pytest.fixture(scope="module")
def small() -> Source:
    """A network of a few layers."""
    return Source(tiny.network(OPENPOSE, 0.2, 1), "bgr", OPENPOSE.name, 8, 64, [pictures(1)])


@pytest.fixture(scope="module")
def files(made: Source, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A network in every format."""
    folder = tmp_path_factory.mktemp("files")
    return {name: write(name, made, folder) for name in FORMATS}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_any_batch_and_size_in_rgb_from_any_format(files: dict[str, Path], made: Source, name: str) -> None:
    loaded = model_files.load(files[name], OPENPOSE)
    assert (loaded.pixels, loaded.stride) == ("bgr", 8)
    for images in (pictures(), pictures(1, (32, 24)), pictures()):
        expected = made.model(images)[-1].numpy()
        assert_close(name, joined(loaded, images), expected)


@pytest.mark.slow
def test_saved_model_in_a_folder_with_brackets(files: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(files["saved_model"], tmp_path / "team[a]\\b")
    found = joined(model_files.load(folder, OPENPOSE), pictures())
    np.testing.assert_array_equal(found, joined(model_files.load(files["saved_model"], OPENPOSE), pictures()))


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_every_network_in_every_format(name: str, tmp_path: Path) -> None:
    made = source(built(name))
    expected = made.model(pictures())[-1].numpy()
    for format in FORMATS:
        assert_close(format, joined(model_files.load(write(format, made, tmp_path), OPENPOSE), pictures()), expected)


# `cmu` swaps the channels itself; for the others, the kernel of the first convolution is swapped.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["cmu", "mobilenet"])
def test_graph_that_takes_rgb(name: str, tmp_path: Path) -> None:
    made = source(built(name), "rgb")
    found = joined(model_files.load(write("graph", made, tmp_path), OPENPOSE), pictures())
    assert_close("graph", found, made.model(pictures())[-1].numpy())


@pytest.fixture(scope="module")
def statistics_of_batch() -> Source:
    return source(built("mobilenet_thin", statistics_of_batch=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["graph", "saved_model", "onnx", "tflite"])
def test_norms_that_use_the_statistics_of_the_batch(statistics_of_batch: Source, name: str, tmp_path: Path) -> None:
    model = statistics_of_batch.model
    assert model.get_layer("backbone0_norm").batch_statistics
    expected = model(pictures())[-1].numpy()
    found = joined(model_files.load(write(name, statistics_of_batch, tmp_path), OPENPOSE), pictures())
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.slow
def test_dilated_convolutions_stay_one_operation(tmp_path: Path) -> None:
    path = write("onnx", source(built("lightweight")), tmp_path)
    nodes = onnx.load(path).graph.node
    assert not {"SpaceToDepth", "Pad", "Reshape"} & {node.op_type for node in nodes}
    dilations = [list(a.ints) for node in nodes for a in node.attribute if a.name == "dilations"]
    assert dilations.count([2, 2]) == 6
    onnx.checker.check_model(str(path), full_check=True)


@pytest.mark.slow
def test_tensorflow_lite_gets_no_depthwise_convolution_that_is_slow_there() -> None:
    made = source(built("mobilenet"))
    for graph in (made.graph_for_lite, made.graph_for_integers):
        constants = {node.name: node.attr["value"].tensor for node in graph.node if node.op == "Const"}
        kernels = [constants[node.input[1]] for node in graph.node if node.op == "DepthwiseConv2dNative"]
        taps = [kernel.tensor_shape.dim[0].size * kernel.tensor_shape.dim[1].size for kernel in kernels]
        assert max(taps) == 21, "three rows of 7"
        assert min(taps) == 7, "the last row"


# The SavedModel's signature for pictures


@pytest.mark.parametrize(
    ("size", "kind"), [((96, 128), ".jpg"), ((40, 30), ".png"), ((1, 1), ".jpg"), ((10, 4000), ".jpg")]
)
def test_jpeg_signature_prepares_pictures_as_predict_does(size: tuple[int, int], kind: str) -> None:
    picture = cv2.resize(pictures(1, (5, 7))[0], size[::-1], interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    encoded = cv2.imencode(kind, picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    image = tf.io.decode_jpeg(encoded, channels=3).numpy()
    decoded = saved_model.decoded(tf.constant(encoded), "rgb")
    (prepared,), scale = (tensor.numpy() for tensor in preparation.prepared(decoded[None], 8, 64))
    resized = image_file.resize(image, image_file.network_size(image, 64))
    height, width = resized.shape[:2]
    assert prepared.shape == (-(-height // 8) * 8, -(-width // 8) * 8, 3)
    np.testing.assert_allclose(scale, (height / size[0], width / size[1]), rtol=1e-6)
    difference = np.abs(prepared[:height, :width] - resized)
    assert difference.max() <= 1
    assert difference.mean() < 0.02
    assert (prepared[height:] == image_file.PADDING_GREY).all()
    np.testing.assert_array_equal(saved_model.decoded(tf.constant(encoded), "bgr"), decoded[..., ::-1])


@pytest.mark.slow
def test_jpeg_signature_gives_the_maps_of_the_picture(files: dict[str, Path], made: Source) -> None:
    encoded = cv2.imencode(".jpg", pictures(1, (64, 48))[0])[1].tobytes()
    found = tf.saved_model.load(str(files["saved_model"])).signatures["jpeg"](encoded=tf.constant(encoded))
    image = tf.io.decode_jpeg(encoded, channels=3)[None]
    np.testing.assert_allclose(found["maps"], made.model(tf.cast(image, tf.float32))[-1], atol=1e-4)
    np.testing.assert_array_equal(found["scale"], [1, 1])


# Files that are not OpenPose models


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.onnx", "not an ONNX model that can be loaded"),
        ("a.tflite", "not a TensorFlow Lite model"),
        ("saved_model.pb", "not a SavedModel that can be loaded"),
    ],
)
def test_files_of_another_kind(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("hello")
    with pytest.raises(InputError, match=message):
        model_files.load(tmp_path / name, OPENPOSE)


def test_folder_without_a_saved_model(tmp_path: Path) -> None:
    (tmp_path / "variables").touch()
    with pytest.raises(InputError, match=r"not a SavedModel, this folder has no saved_model\.pb"):
        model_files.load(tmp_path, OPENPOSE)


def other_onnx(path: Path, takes: list[Any], gives: list[Any], outputs: int = 1) -> Path:
    """An ONNX model that multiplies the channels of its input by a matrix."""
    names = [f"part{number}" for number in range(outputs)]
    mixed = helper.make_tensor("mixed", TensorProto.FLOAT, [takes[-1], gives[-1]], np.zeros(takes[-1] * gives[-1]))
    made = helper.make_graph(
        [helper.make_node("MatMul", ["pixels", "mixed"], [name]) for name in names],
        "other",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, takes)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, gives) for name in names],
        [mixed],
    )
    onnx.save(helper.make_model(made, ir_version=8, opset_imports=[helper.make_opsetid("", 18)]), path)
    return path


def test_message_lists_the_tensors_of_another_onnx_model(tmp_path: Path) -> None:
    path = other_onnx(tmp_path / "two.onnx", ["N", "H", "W", 3], ["N", "H", "W", 3], outputs=2)
    with pytest.raises(InputError, match=r"takes pixels \[\?, \?, \?, 3\] and gives part0 .*, part1 \[\?, \?, \?, 3\]"):
        model_files.load(path, OPENPOSE)
    path = other_onnx(tmp_path / "nchw.onnx", [1, 3, 368, 368], [1, 3, 368, 368])
    with pytest.raises(
        InputError, match=r"takes \[1, 3, 368, 368\]; an OpenPose network takes pictures \[N, H, W, 3\]"
    ):
        model_files.load(path, OPENPOSE)


def test_message_lists_the_signatures_of_another_saved_model(tmp_path: Path) -> None:
    class Other(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
        def lengths(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"lengths": tf.strings.length(text)}

    other = Other()
    tf.saved_model.save(other, str(tmp_path / "other"), signatures={"count": other.lengths})
    with pytest.raises(InputError, match=r"this one has: count \(text \[\?\] -> lengths \[\?\]\)"):
        model_files.load(tmp_path / "other", OPENPOSE)


def test_saved_model_of_another_program_with_variables(tmp_path: Path) -> None:
    class Other(tf.Module):
        def __init__(self) -> None:
            self.kernel = tf.Variable(tf.ones([8, 8, 3, OPENPOSE.num_maps]))

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, "pixels")])
        def ask(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"sum": tf.nn.conv2d(pixels, self.kernel, 8, "SAME")}

    other = Other()
    tf.saved_model.save(other, str(tmp_path / "other"), signatures={"serving_default": other.ask})
    loaded = model_files.load(tmp_path / "other", OPENPOSE)
    assert (loaded.pixels, loaded.stride) == ("rgb", 8)
    np.testing.assert_allclose(joined(loaded, np.ones((1, 16, 16, 3))), 8 * 8 * 3)


@pytest.mark.parametrize(("channels", "maps"), [(1, 57), (4, 57), (3, 45)])
def test_other_channels_and_skeletons_in_any_format(channels: int, maps: int, tmp_path: Path) -> None:
    image = keras.Input((None, None, channels), name="image")
    model = keras.Model(image, keras.layers.Conv2D(maps, 1, strides=8)(image))
    model.save(tmp_path / "model.keras")
    with tf.Graph().as_default() as graph:
        picture = tf.compat.v1.placeholder(tf.float32, [None, None, None, channels], name="image")
        kernel = tf.zeros([1, 1, channels, maps])
        tf.nn.conv2d(picture, kernel, 8, "SAME", name="Openpose/concat_stage7")
    (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    other_onnx(tmp_path / "model.onnx", ["N", "H", "W", channels], ["N", "H", "W", maps])
    wrong = (
        rf"takes \[\?, \?, \?, {channels}\]" if channels != 3 else r"a network of the skeleton openpose18 gives .* 57"
    )
    for name in ("model.keras", "graph.pb", "model.onnx"):
        with pytest.raises(InputError, match=wrong) as caught:
            model_files.load(tmp_path / name, OPENPOSE)
        assert str(caught.value).startswith(str(tmp_path / name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["graph", "saved_model", "onnx", "tflite"])
def test_another_skeleton_with_the_same_number_of_maps(files: dict[str, Path], name: str) -> None:
    other = dataclasses.replace(OPENPOSE, name="dog18", parts=tuple(f"dogs_{part}" for part in OPENPOSE.parts))
    with pytest.raises(InputError, match=r"is for the skeleton openpose18 \(nose, .*, not for dog18 \(dogs_nose"):
        model_files.load(files[name], other)


def test_model_of_one_size_says_so(tmp_path: Path) -> None:
    path = other_onnx(tmp_path / "fixed.onnx", [1, 368, 432, 3], [1, 368, 432, 57])
    model = model_files.load(path, OPENPOSE)
    assert model.stride == 8
    with pytest.raises(InputError, match=r"fixed\.onnx: takes \[1, 368, 432, 3\], not pictures of \[2, 48, 64, 3\]"):
        model.maps(pictures())


@pytest.mark.slow
def test_tflite_model_without_metadata_takes_rgb(files: dict[str, Path], tmp_path: Path) -> None:
    plain = (tmp_path / "plain.tflite", files["tflite"].read_bytes())
    plain[0].write_bytes(plain[1][: plain[1].index(b"PK\x03\x04")])
    assert model_files.load(plain[0], OPENPOSE).pixels == "rgb"
    assert model_files.load(plain[0], OPENPOSE, "bgr").pixels == "bgr"
    assert model_files.load(plain[0], OPENPOSE).height == 368


@pytest.mark.slow
def test_maps_with_nan(tmp_path: Path) -> None:
    model = built("mobilenet_thin")
    kernel, bias = model.get_layer("stage2_vectmap_5").get_weights()
    model.get_layer("stage2_vectmap_5").set_weights([kernel, bias * np.nan])
    model.save(tmp_path / "model.keras")
    with pytest.raises(InputError, match=r"model\.keras: its maps hold NaN or infinity; did its training diverge\?"):
        model_files.load(tmp_path / "model.keras", OPENPOSE).maps(pictures())


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_models_in_a_bucket(files: dict[str, Path], bucket: str, name: str) -> None:
    with storage.atomic_folder(storage.path(bucket) / "model") as folder:
        target = folder / files[name].name
        if files[name].is_dir():
            target.mkdir()
            (target / SAVED_MODEL).write_bytes((files[name] / SAVED_MODEL).read_bytes())
        else:
            target.write_bytes(files[name].read_bytes())
    loaded = model_files.load(f"{bucket}/model/{files[name].name}", OPENPOSE)
    np.testing.assert_array_equal(
        joined(loaded, pictures()), joined(model_files.load(files[name], OPENPOSE), pictures())
    )


def test_formats_are_chosen_by_name() -> None:
    assert list(formats.chosen("all")) == list(FORMATS)
    assert list(formats.chosen("onnx, tflite")) == ["graph", "onnx", "tflite"]
    assert list(formats.chosen("")) == ["graph"]
    with pytest.raises(InputError, match="no format is called 'coreml'; choose from graph, saved_model, onnx"):
        formats.chosen("onnx,coreml")


def test_unknown_channel_order_is_refused(small: Source, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pixels are 'grb'; choose one of: bgr, rgb"):
        FORMATS["graph"].write(dataclasses.replace(small, pixels="grb"), tmp_path / "graph.pb")
    assert not (tmp_path / "graph.pb").exists()


@pytest.mark.slow
def test_skeleton_is_the_one_that_the_file_names(made: Source, files: dict[str, Path], tmp_path: Path) -> None:
    assert model_files.load(files["graph"]).skeleton is OPENPOSE
    FORMATS["graph"].write(dataclasses.replace(made, skeleton="dog18"), tmp_path / "graph.pb")
    with pytest.raises(InputError, match=r"graph\.pb: .*'dog18'"):
        model_files.load(tmp_path / "graph.pb")


@pytest.mark.slow
@pytest.mark.parametrize("keypoints", [1, 4])
@pytest.mark.parametrize("name", [*FORMATS, "keras"])
def test_file_holds_the_whole_skeleton_of_other_keypoints(name: str, keypoints: int, tmp_path: Path) -> None:
    mouse = made_up.skeleton(keypoints, keypoints // 4)
    model = tiny.network(mouse, width=0.2, stages=1)
    source = Source(model, "rgb", mouse.text(), height=64, calibration=[pictures()[:1]])
    file = tmp_path / (FORMATS[name].file if name in FORMATS else "model.keras")
    if name == "keras":
        keras_file.write(model, file, mouse.text(), 64)
    else:
        FORMATS[name].write(source, file)
    loaded = model_files.load(file)
    assert loaded.skeleton == mouse
    heatmap, vectmap = loaded.maps(pictures())
    assert (heatmap.shape[-1], vectmap.shape[-1]) == (keypoints + 1, 2 * mouse.num_limbs)
    if name == "saved_model":
        beside = storage.read_json(file / "assets.extra" / "openpose.json")
        assert beside.pop("people")["parts"] == list(mouse.parts)
        assert beside == {"pixels": "rgb", "height": 64, "skeleton": mouse.described()}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FORMATS, "keras"])
def test_file_says_skeleton_pixels_and_height(small: Source, name: str, tmp_path: Path) -> None:
    if name == "keras":
        file, pixels = tmp_path / "model.keras", "rgb"
        keras_file.write(small.model, file, OPENPOSE.name, small.height)
    else:
        file, pixels = write(name, small, tmp_path), "bgr"
    loaded = model_files.load(file)
    assert (loaded.skeleton, loaded.pixels, loaded.height) == (OPENPOSE, pixels, 64)


def test_height_is_that_of_published_networks_where_the_file_does_not_say_it(small: Source, tmp_path: Path) -> None:
    small.model.save(tmp_path / "model.keras")
    assert model_files.load(tmp_path / "model.keras").height == 368
    FORMATS["graph"].write(dataclasses.replace(small, height=0), tmp_path / "graph.pb")
    assert model_files.load(tmp_path / "graph.pb").height == 368


@pytest.mark.parametrize(("text", "height"), [("368", 368), ("", None), ("auto", None), ("-1", None), ("0", None)])
def test_height_of_another_programs_file_may_be_any_text(text: str, height: int | None) -> None:
    assert Facts.read({"height": text}).height == height


def test_table_of_formats_does_not_import_tensorflow() -> None:
    code = "from openpose import model_files; from openpose.model_files import formats; formats.chosen('all')"
    check = f"{code}; import sys; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_onnx_runtime_collects_no_telemetry(tmp_path: Path) -> None:
    # It would collect the data in the temporary folder before sending them.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "ORT_"))}
    code = "import openpose, onnxruntime; onnxruntime.get_available_providers()"
    subprocess.run([sys.executable, "-c", code], env=environment | {"TMPDIR": str(tmp_path)}, check=True)
    assert not list(tmp_path.iterdir())
