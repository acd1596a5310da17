"""What must work through a network with faults, in every store."""

import contextlib

from openpose import storage


def work_goes_on(root: storage.StoragePath, large: bytes) -> None:
    """Writes, lists, reads and removes objects, and notices nothing of the faults.

    Args:
        root: an empty storage root in a bucket.
        large: more than goes up in one request.
    """
    storage.write_bytes(root / "large", large)
    for number in range(4):
        with storage.atomic_folder(root / "folder") as temporary:
            for name in "abc":
                (temporary / name).write_text(str(number))
        assert storage.read_bytes(root / "folder/b") == str(number).encode()
    assert storage.sizes(root) == {"large": len(large), **dict.fromkeys(("folder/a", "folder/b", "folder/c"), 1)}
    for _ in range(3):
        with storage.local_copy(root / "large") as copy:
            assert copy.read_bytes() == large
    assert storage.read_range(root / "large", 5_000_000, 1_000_000) == large[5_000_000:6_000_000]
    storage.remove(root / "folder")
    with contextlib.suppress(FileNotFoundError):
        storage.read_bytes(root / "folder/a")
    assert list(storage.sizes(root)) == ["large"]
