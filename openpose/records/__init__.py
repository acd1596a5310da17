"""Records: each image with its people and loss mask, as TFRecords that are written once and read by every step."""
