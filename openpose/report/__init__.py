"""Reports: HTML pages on a data set, a training and a model, and a look into records."""
