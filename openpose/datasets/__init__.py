"""Data sets as DeepLabCut, SLEAP, Ultralytics and LabelMe write them, turned into COCO's form.

The readers are ours, because sleap-io, which reads these files too, brings 31 packages to every image and installation,
and its errors do not name the file, the entry and the cure; h5py, PyYAML and OpenCV are there anyway.
"""
