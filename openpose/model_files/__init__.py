"""Trained networks in files: one module per format, the table of formats, and `load`, which reads any of them."""

from openpose.model_files.model import Model, checksum, load

__all__ = ["Model", "checksum", "load"]
