"""After everything, also when a step failed: how the run went."""
