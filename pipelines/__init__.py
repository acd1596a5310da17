"""Connects the steps to a DAG, and runs it on this machine or on a cluster."""
