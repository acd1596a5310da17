"""Records to batches: augmentation and rendering, as tf.data."""
