"""The sample as the source of a run, where no folder with it can be given, as on a cluster."""

SAMPLE = "sample"
