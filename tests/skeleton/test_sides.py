"""Mirror pairs from names, as people and tools write them."""

import pytest

from openpose.errors import InputError
from openpose.skeleton import OPENPOSE18
from openpose.skeleton.sides import mirror_pairs
from openpose.skeleton.tables import CROWDPOSE_KEYPOINTS

_BODY = ["Shoulder", "Elbow", "F_Paw", "Hip", "Knee", "B_Paw"]
AP10K = ["L_Eye", "R_Eye", "Nose", "Neck", "Root of tail", *(f"{side}_{part}" for side in "LR" for part in _BODY)]
FLY = [f"{leg}leg{side}{n}" for leg in ("fore", "mid", "hind") for side in "LR" for n in (1, 2, 3)]
_PAIRED = ["Shoulder", "Hip", "Eye", "BigToe", "SmallToe", "Heel"]
BODY25 = ["Nose", "Neck", "MidHip", *(f"{side}{part}" for part in _PAIRED for side in "RL")]
MOUSE = ["snout", "leftear", "rightear", "tailbase"]
NO_SIDES = [
    ["tail", "nose", "rear", "elbow", "shoulder", "head", "ear", "collar", "leg", "wrist", "upright", "bright"],
    [f"kpt-{n}" for n in range(68)],  # mmpose's face68
    ["wrist", *(f"{finger}{n}" for finger in ("thumb", "index", "middle", "ring", "little") for n in range(4))],
    ["q", "r", "s", "l"],
    ["L1", "L2", "L3", "T12"],  # vertebrae
    ["нос", "хвост"],
    ["tip"],
]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("leftear", "rightear"),
        ("left_hip", "right_hip"),
        ("Left Ear", "Right Ear"),
        ("LEFT_EAR", "RIGHT_EAR"),
        ("earLeft", "earRight"),
        ("earleft", "earright"),
        ("left_eye_right_corner", "right_eye_left_corner"),
        ("ear_l", "ear_r"),
        ("l-eye", "r-eye"),
        ("hind.L", "hind.R"),
        ("L_Eye", "R_Eye"),
        ("wingL", "wingR"),
        ("forelegL2", "forelegR2"),
        ("LHip", "RHip"),
        ("LBigToe", "RBigToe"),
        ("lhip", "rhip"),
        ("earl", "earr"),
        ("FL_paw", "FR_paw"),
        ("LFHoof", "RFHoof"),
        ("hl_paw", "hr_paw"),
        ("Left ear", "right ear"),
        ("左耳", "右耳"),
    ],
)
def test_names_of_both_sides_are_a_pair(left: str, right: str) -> None:
    assert mirror_pairs(["nose", right, "tail", left, "rear"]) == ((left, right),)


@pytest.mark.parametrize("names", NO_SIDES, ids=" ".join)
def test_words_that_merely_contain_the_letters_have_no_side(names: list[str]) -> None:
    assert mirror_pairs(names) == ()


@pytest.mark.parametrize(
    ("names", "count"), [(MOUSE, 1), (AP10K, 7), (FLY, 9), (BODY25, 6), (list(CROWDPOSE_KEYPOINTS), 6)], ids=str
)
def test_real_skeletons(names: list[str], count: int) -> None:
    pairs = mirror_pairs(names)
    assert len(pairs) == count
    assert all(left != right and {left, right} <= set(names) for left, right in pairs)


def test_cocos_pairs_are_those_of_openpose18() -> None:
    assert mirror_pairs(OPENPOSE18.source_parts) == OPENPOSE18.source_pairs


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["nose", "leftear"], "'rightear'"),
        (["nose", "ear_r"], "'ear_l'"),
        (["RHip"], "'LHip'"),
        (["wingL"], "'wingR'"),
        (["forelegR2", "forelegL1", "forelegR1"], "'forelegL2'"),
    ],
)
def test_a_side_without_its_counterpart_is_an_error(names: list[str], missing: str) -> None:
    with pytest.raises(InputError, match=missing) as raised:
        mirror_pairs(names)
    assert "flip_pairs" in str(raised.value), "the cure"


def test_two_names_with_one_mirror_image_are_an_error() -> None:
    with pytest.raises(InputError, match="flip_pairs"):
        mirror_pairs(["left_ear", "LEFT_EAR", "right_ear"])
