"""Skeleton files of ours and of mmpose."""

import json
import re
from pathlib import Path

import pytest

from openpose.errors import InputError
from openpose.skeleton import KNOWN, files
from openpose.skeleton.derive import complete
from openpose.skeleton.limbs import Distances

MOUSE = """\
name: mouse4
category: mouse
keypoints: [snout, leftear, rightear, tailbase]
limbs: [[snout, leftear], [snout, rightear], [leftear, tailbase], [rightear, tailbase]]
flip_pairs: [[leftear, rightear]]
sigmas: 0.04
"""
MMPOSE = """\
dataset_info = dict(
    dataset_name='fish',
    paper_info=dict(title='A ' 'fish'),
    keypoint_info={
        1: dict(name='fin_l', id=1, color=[0, 255, 0], type='upper', swap='fin_r'),
        0: dict(name='mouth', id=0, color=[0, 255, 0], type='upper', swap=''),
        2: dict(name='fin_r', id=2, color=[0, 255, 0], type='upper', swap='fin_l'),
    },
    skeleton_info={0: dict(link=('mouth', 'fin_l'), id=0, color=[0, 0, 1])},
    joint_weights=[1.] * 2 + [1.5],
    sigmas=[0.1] + [0.2] * 2)
"""


def test_reads_our_file() -> None:
    draft = files.parse(MOUSE, "mouse.yaml")
    assert (draft.name, draft.category) == ("mouse4", "mouse")
    assert draft.keypoints == ("snout", "leftear", "rightear", "tailbase")
    assert len(draft.limbs) == 4
    assert draft.flip_pairs == (("leftear", "rightear"),)
    assert draft.sigmas == (0.04,) * 4


def test_reads_mmposes_python_without_executing_it() -> None:
    draft = files.parse("import os\nos.abort()\n" + MMPOSE, "fish.py")
    assert draft.name == "fish"
    assert draft.keypoints == ("mouth", "fin_l", "fin_r")
    assert draft.limbs == (("mouth", "fin_l"),)
    assert draft.flip_pairs == (("fin_l", "fin_r"),)
    assert draft.sigmas == (0.1, 0.2, 0.2)


def test_reads_mmposes_document_from_json() -> None:
    info = {"keypoint_info": {"0": {"name": "tip", "swap": ""}}, "skeleton_info": {}, "sigmas": []}
    draft = files.parse(json.dumps({"dataset_info": info}), "tip.json")
    assert (draft.keypoints, draft.flip_pairs, draft.sigmas) == (("tip",), (), None)


def examples() -> dict[str, str]:
    """The files in the documents, by the skeleton's name."""
    page = (Path(__file__).parents[2] / "docs/keypoints.md").read_text()
    return {text.split()[1]: text for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)}


@pytest.mark.parametrize(("name", "limbs"), [("mouse4", 5), ("hand21", 20), ("crowdpose14", 15)])
def test_the_documents_examples_leave_nothing_to_derive(name: str, limbs: int) -> None:
    made, notes = complete(files.parse(examples()[name], "example.yaml"), lambda bare: Distances(bare.num_parts))
    assert (made.name, made.num_limbs, notes) == (name, limbs, [])
    assert made.is_known == (name in KNOWN)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("keypoints: [", "a.yaml", "cannot be read"),
        ("{", "a.json", "cannot be read"),
        ("x = 1", "a.py", "no line `dataset_info"),
        ("dataset_info = dict(sigmas=open('x'))", "a.py", "cannot be read"),
        ("[]", "a.yaml", "an object with `keypoints`"),
        ("keypoints: 5", "a.yaml", "`keypoints` must be a list of names"),
        ("keypoints: []", "a.yaml", "`keypoints` is empty"),
        ("keypoints: [a, a]", "a.yaml", "'a' twice"),
        ("keypoints: [a, [b]]", "a.yaml", r"`keypoints` has \['b'\]"),
        ("keypoints: [a, b]\nlimb: []", "a.yaml", "`limb` is no field.*limbs"),
        ("keypoints: [a, b]\nlimbs: [[a, c]]", "a.yaml", "`limbs`: 'c' is no keypoint; there are: a, b"),
        ("keypoints: [a, b]\nlimbs: [[a, b], [b, a]]", "a.yaml", "be there once"),
        ("keypoints: [a, b]\nlimbs: [a, b]", "a.yaml", "`limbs` must be a list of pairs"),
        ("keypoints: [a, b, c]\nflip_pairs: [[a, b], [b, c]]", "a.yaml", "`flip_pairs`: b is in two pairs"),
        ("keypoints: [a, b]\nsigmas: [0.1]", "a.yaml", "`sigmas` has 1 numbers for 2 keypoints"),
        ("keypoints: [a, b]\nsigmas: [0.1, 0]", "a.yaml", "above 0"),
        ("keypoints: [a, b]\nsigmas: big", "a.yaml", "`sigmas` must be one number"),
        ("keypoints: [a, b]\nparts: {c: [a]}", "a.yaml", "each keypoint once"),
        ("keypoints: [a, b]\nparts: {c: []}", "a.yaml", "mean of two or more"),
        ("keypoints: [a, b]\nparts: {c: [a, d]}", "a.yaml", "`parts`: 'd' is no keypoint"),
        (f"keypoints: {[str(n) for n in range(300)]}", "a.yaml", "at most 256"),
        (MMPOSE.replace("swap='fin_l'", "swap=''"), "a.py", "`swap` 'fin_r'"),
    ],
)
def test_a_wrong_file_is_named_with_its_field(text: str, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        files.parse(text, name)
    assert str(raised.value).startswith(f"{name}: ")
