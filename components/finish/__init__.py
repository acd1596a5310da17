"""The last step, which runs also after a failure: sums up the run."""
