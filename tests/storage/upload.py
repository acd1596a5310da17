"""Uploads a file: `python -m tests.storage.upload FILE PLACE`."""

import shutil
import sys

from openpose import storage

if __name__ == "__main__":
    with storage.atomic_file(storage.path(sys.argv[2])) as temporary:
        shutil.copyfile(sys.argv[1], temporary)
