"""`python -m openpose.records`: another name of `python -m openpose.report`, which stands above this wing."""

import runpy

if __name__ == "__main__":
    runpy.run_module("openpose.report", run_name="__main__")
