"""What nobody says of a skeleton is derived, from names and from labelled animals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpose.errors import InputError
from openpose.skeleton import OPENPOSE18, Skeleton
from openpose.skeleton.derive import SIGMA, complete
from openpose.skeleton.draft import Draft, of_category, of_document
from openpose.skeleton.limbs import Distances, is_connected
from tests.skeleton.made_up import skeleton

MOUSE = ("snout", "leftear", "rightear", "tailbase")


def no_animals(bare: Skeleton) -> Distances:
    return Distances(bare.num_parts)


def unused(bare: Skeleton) -> Distances:
    raise AssertionError("the annotations are read for nothing")


def bendy_worms(bare: Skeleton) -> Distances:
    """Fifty chains whose neighbours keep their distance while all else moves; every fifth lacks its last part."""
    rng, distances = np.random.default_rng(0), Distances(bare.num_parts)
    for number in range(50):
        turns = rng.uniform(-1.2, 1.2, bare.num_parts).cumsum()
        xy = np.stack([np.cos(turns), np.sin(turns)], -1).cumsum(0) * rng.uniform(10, 30)
        seen = np.ones(bare.num_parts, bool)
        seen[-1] = number % 5 != 0
        distances.add(xy[None], seen[None])
    return distances


def test_limbs_are_chosen_from_animals() -> None:
    made, notes = complete(Draft("", "worm", ("c", "a", "d", "b")), bendy_worms)
    assert set(map(frozenset, made.limb_names)) == {frozenset("ca"), frozenset("ad"), frozenset("db")}
    assert notes[-1].startswith("limbs, chosen from 50 labelled ones: ")
    assert (made.name, made.category) == ("worm4", "worm")


def test_the_datas_links_are_kept_and_what_they_leave_is_joined() -> None:
    made, notes = complete(Draft("", "worm", ("c", "a", "d", "b"), (("b", "c"),)), bendy_worms)
    assert made.limb_names[0] == ("b", "c")
    assert len(made.limb_names) == 3
    assert is_connected(made.limbs, 4)
    assert made.coco_category()["skeleton"] == [[4, 1]], "COCO's `skeleton` is the data's"
    assert "limbs added" in notes[-1]


def test_whole_links_need_no_annotations() -> None:
    links = (("snout", "leftear"), ("snout", "rightear"), ("leftear", "tailbase"), ("rightear", "tailbase"))
    made, notes = complete(Draft("", "mouse", MOUSE, links), unused)
    assert made.limb_names == links, "a circle"
    assert notes == [
        "mirror pairs, from the names: leftear–rightear",
        f"OKS sigmas: {SIGMA} for each keypoint, because nothing says them",
    ]


def test_a_limb_gets_its_mirror_image() -> None:
    links = (("leftear", "snout"), ("snout", "tailbase"))
    made, notes = complete(Draft("", "mouse", MOUSE, links), unused)
    assert made.limb_names == (*links, ("rightear", "snout"))
    assert "mirror images" in notes[-1]


def test_a_file_leaves_nothing_to_derive() -> None:
    draft = Draft("m", "mouse", MOUSE, (("snout", "tailbase"),), (), (0.1, 0.2, 0.3, 0.4))
    made, notes = complete(draft, no_animals)
    assert made.source_pairs == ()
    assert made.source_sigmas == (0.1, 0.2, 0.3, 0.4)
    assert len(notes) == 1
    assert notes[0].startswith("limbs added")


def test_one_keypoint_has_no_limbs() -> None:
    made, notes = complete(Draft("", "needle", ("tip",)), unused)
    assert (made.num_parts, made.num_limbs, made.num_maps) == (1, 0, 2)
    assert (made.min_parts, made.main_keypoints) == (1, 1)
    assert any("no limbs" in note for note in notes)


def test_never_labelled_parts_are_joined_all_the_same() -> None:
    made, _ = complete(Draft("", "mouse", MOUSE), no_animals)
    assert is_connected(made.limbs, 4)


def test_extra_parts_are_means_of_keypoints() -> None:
    made, _ = complete(Draft("", "mouse", MOUSE, parts={"neck": ("leftear", "rightear")}), no_animals)
    assert made.parts == (*MOUSE, "neck")
    assert made.flip_parts == (0, 2, 1, 3, 4)
    assert Skeleton.from_text(made.text()) == made
    with pytest.raises(InputError, match="'neck' has no mirror image"):
        complete(Draft("", "mouse", MOUSE, parts={"neck": ("leftear", "snout")}), no_animals)


def test_reads_cocos_category() -> None:
    draft = of_category({"name": "fly", "keypoints": ["a", "b", "c"], "skeleton": [[1, 2], [2, 1], [3, 3]]})
    assert draft.limbs == (("a", "b"),), "once, and nothing with itself"
    from_0 = of_category({"name": "fly", "keypoints": ["a", "b", "c"], "skeleton": [[0, 2]]})
    assert from_0.limbs == (("a", "c"),)
    more = {"keypoints": ["a", "b"], "flip_pairs": [["a", "b"]], "sigmas": [0.1, 0.2]}
    assert of_category(more) == Draft("", "", ("a", "b"), (), (("a", "b"),), (0.1, 0.2))
    with pytest.raises(InputError, match="`skeleton` has 4"):
        of_category({"keypoints": ["a", "b", "c"], "skeleton": [[1, 4]]})


@pytest.mark.parametrize("keypoints", [1, 2, 4, 24, 133])
def test_the_document_says_everything(keypoints: int) -> None:
    made = skeleton(keypoints, keypoints // 3, circle=keypoints > 2)
    assert Skeleton.from_text(made.text()) == made
    assert of_document(made.described()).keypoints == made.source_parts
    assert not made.is_known


def test_a_known_skeleton_is_its_name() -> None:
    assert OPENPOSE18.to_document() == OPENPOSE18.text() == "openpose18"
    assert Skeleton.from_document("openpose18") is OPENPOSE18
    assert Skeleton.from_document(OPENPOSE18.described()) == OPENPOSE18
    with pytest.raises(InputError, match="hand21"):
        Skeleton.from_text("hand21")
    with pytest.raises(InputError, match="`sigmas`"):
        Skeleton.from_document({"keypoints": ["a"]})


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@settings(max_examples=30, deadline=None)
@given(st.lists(names, min_size=1, max_size=9, unique=True), st.data())
def test_any_draft_becomes_a_skeleton_that_survives_its_document(keypoints: list[str], data: st.DataObject) -> None:
    order = data.draw(st.permutations(keypoints))
    pairs = data.draw(st.integers(0, len(keypoints) // 2))
    flip_pairs = tuple((order[2 * n], order[2 * n + 1]) for n in range(pairs))
    every = [(a, b) for n, a in enumerate(keypoints) for b in keypoints[:n]]
    limbs = tuple(data.draw(st.lists(st.sampled_from(every), unique=True))) if every else ()
    made, _ = complete(Draft("n", "c", tuple(keypoints), limbs, flip_pairs), no_animals)
    assert Skeleton.from_text(made.text()) == made
    assert made.limb_names[: len(limbs)] == limbs
    assert is_connected(made.limbs, made.num_parts)
    assert np.array_equal(np.array(made.flip_vectmap)[list(made.flip_vectmap)], np.arange(made.num_vectmaps))
    twice = made.flip_signs * made.flip_signs[list(made.flip_vectmap)]
    assert (twice == 1).all(), "mirrored twice is not mirrored"
