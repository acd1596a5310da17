"""The sample data set: drawn people in COCO's format, so that everything runs where no data are at hand."""
