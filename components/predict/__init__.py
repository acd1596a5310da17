"""Steps of a prediction: find people in any number of pictures, in parallel."""
