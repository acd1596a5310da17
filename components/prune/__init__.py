"""Removes old results that no champion and no run in progress needs."""
