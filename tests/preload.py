"""What the process that forks programs imports, see tests/process.py."""

import gc

import cv2
import keras
import tensorboard
import tensorflow

__all__ = ["cv2", "keras", "tensorboard", "tensorflow"]

gc.collect()
gc.freeze()  # these stay, so a program's garbage collections need not look at them
