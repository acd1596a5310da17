"""`python -m components.coco_download --help`."""

import sys

from components import command
from components.coco_download.coco_download import coco_download

if __name__ == "__main__":
    sys.exit(command.run(coco_download, "python -m components.coco_download"))
