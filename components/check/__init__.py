"""The step before all others: refuses parameters that cannot work, within seconds."""
