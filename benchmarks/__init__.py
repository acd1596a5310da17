"""Measurements against a reference from the same run; each ends with the line `<name>: <figure> (bound …)`."""
