"""Where one shard ends and the next begins."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from openpose.records.parameters import RecordParameters
from openpose.records.shards import plan_shards


@given(
    sizes=st.lists(st.integers(0, 10**7), min_size=1, max_size=300),
    shard_mb=st.floats(0.01, 100),
    images_per_shard=st.integers(0, 50),
)
def test_shards_are_the_whole_split_in_order(sizes: list[int], shard_mb: float, images_per_shard: int) -> None:
    parameters = RecordParameters(shard_mb=shard_mb, images_per_shard=images_per_shard)
    planned = plan_shards("train", np.array(sizes, np.int64), parameters)
    assert [i for shard in planned for i in range(shard.start, shard.stop)] == list(range(len(sizes)))
    if images_per_shard:
        counts = [shard.stop - shard.start for shard in planned]
        assert max(counts) <= images_per_shard
        assert max(counts) - min(counts) <= 1
    else:
        size = [sum(sizes[shard.start : shard.stop]) for shard in planned]
        assert max(size) <= shard_mb * 1e6 + max(sizes) + 1
        assert min(shard.stop - shard.start for shard in planned) > 0
