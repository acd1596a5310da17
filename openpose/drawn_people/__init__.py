"""The sample data set: drawn people in COCO's format, so that everything runs where no data are at hand."""

SAMPLE = "sample"  # as the source of a run, where no folder with the sample can be given
