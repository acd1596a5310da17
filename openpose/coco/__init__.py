"""COCO's files: annotations, pictures, and where a data set comes from."""
