"""Measurements beside a reference taken in the same run; each ends with `<name>: <figure> (bound …)`."""
