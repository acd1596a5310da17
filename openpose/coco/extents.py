"""How large a split's animals look, and whether they lie in all directions."""

import numpy as np

from openpose.records.manifest import Extents
from openpose.records.picture import Picture
from openpose.skeleton import Skeleton

# Below this length of the mean of a limb's directions they go everywhere: 1 is all in one, 0 all round. The best limbs
# of COCO's people have 0.93; of mice and flies that were filmed from above, 0.77 and 0.45.
_ONE_WAY = 0.85


class Looks:
    """Collects sizes and directions of the animals of many pictures.

    Args:
        skeleton: of the animals.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        self._skeleton = skeleton
        self._sizes: list[float] = []
        self._pictures: list[tuple[int, float]] = []  # height, and width as a share of it
        self._directions = np.zeros(skeleton.num_limbs, complex)
        self._count = np.zeros(skeleton.num_limbs)

    def add(self, picture: Picture) -> None:
        """Adds the main animals of a picture."""
        self._pictures.append((picture.height, picture.width / picture.height))
        longer = picture.bbox[picture.main, 2:].max(1, initial=0) / picture.height
        self._sizes += longer[longer > 0].tolist()
        xy, labelled = self._skeleton.part_keypoints(picture.keypoints[picture.main], picture.visibility[picture.main])
        first, second = np.array(self._skeleton.limbs, int).reshape(-1, 2).T
        limbs = np.where(labelled[:, first] & labelled[:, second], (xy[:, second] - xy[:, first]) @ [1, 1j], 0)
        length = np.abs(limbs)
        self._directions += (limbs / np.maximum(length, 1e-6)).sum(0)
        self._count += (length > 0).sum(0)

    def extents(self) -> Extents | None:
        """Percentiles of the sizes, and the usual picture; None if no main animal has an extent."""
        if not self._sizes:
            return None
        smallest, largest = (round(float(size), 3) for size in np.percentile(self._sizes, [5, 95]))
        height, aspect = np.median(self._pictures, axis=0)
        return Extents(
            smallest=smallest,
            largest=largest,
            turned=self._turned(),
            height=round(float(height)),
            aspect=round(float(aspect), 3),
        )

    def _turned(self) -> bool:
        """Whether even the limb that keeps its direction best does not keep it."""
        often = self._count >= max(1, self._count.max(initial=0) / 2)  # a limb that was seen twice says nothing
        return bool((np.abs(self._directions[often]) / self._count[often] < _ONE_WAY).all())
