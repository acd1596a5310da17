"""Reads skeleton files: YAML or JSON of ours, and mmpose's `dataset_info` as Python, YAML or JSON."""

import ast
import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import yaml

from openpose.errors import InputError
from openpose.skeleton.draft import Draft, of_document, pairs_of

SUFFIXES = (".yaml", ".yml", ".json", ".py")


def parse(text: str, name: str) -> Draft:
    """Reads a skeleton file.

    Args:
        text: its content.
        name: of the file; its suffix tells the language, and messages begin with it.

    Raises:
        InputError: the file cannot be read as a skeleton; the message names the field.
    """
    try:
        document = _document(text, PurePosixPath(name).suffix.lower())
        if isinstance(document, Mapping) and isinstance(document.get("dataset_info"), Mapping):
            document = document["dataset_info"]
        if isinstance(document, Mapping) and "keypoint_info" in document:
            return _of_mmpose(document)
        return of_document(document)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _document(text: str, suffix: str) -> Any:
    try:
        if suffix == ".json":
            return json.loads(text)
        return _python(text) if suffix == ".py" else yaml.safe_load(text)
    except (ValueError, SyntaxError, yaml.YAMLError) as error:
        raise InputError(f"cannot be read as a skeleton ({' '.join(str(error).split())})") from error


def _python(text: str) -> Any:
    """The value of `dataset_info = dict(…)` in a configuration file of mmpose; nothing in the file is executed."""
    for statement in ast.parse(text).body:
        names = [target.id for target in getattr(statement, "targets", []) if isinstance(target, ast.Name)]
        if isinstance(statement, ast.Assign) and names == ["dataset_info"]:
            return _literal(statement.value)
    raise ValueError("it has no line `dataset_info = dict(…)`")


def _literal(node: ast.expr) -> Any:
    """A literal, where `dict(a=1)`, sums of lists and lists times a number are allowed too."""
    match node:
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
            return {str(each.arg): _literal(each.value) for each in keywords}
        case ast.Dict(keys=keys, values=values):
            return {_literal(key): _literal(value) for key, value in zip(keys, values, strict=True) if key}
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_literal(item) for item in items]
        case ast.BinOp(left=ast.List() as left, op=ast.Mult(), right=ast.Constant(value=int(times))) if times < 1000:
            return _literal(left) * times
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _literal(left) + _literal(right)
    return ast.literal_eval(node)


def _of_mmpose(document: Mapping[str, Any]) -> Draft:
    """A draft of mmpose's `dataset_info`: `keypoint_info` with `swap`, `skeleton_info`, `sigmas`."""
    keypoints = [(int(entry.get("id", key)), entry) for key, entry in _entries(document, "keypoint_info")]
    keypoints.sort(key=lambda pair: pair[0])
    names = [str(entry.get("name")) for _, entry in keypoints]
    swaps = {name: str(entry.get("swap") or "") for name, (_, entry) in zip(names, keypoints, strict=True)}
    for name, swap in swaps.items():
        if swap and swaps.get(swap) != name:
            raise InputError(f"`keypoint_info`: {name!r} has `swap` {swap!r}, but {swap!r} has {swaps.get(swap)!r}")
    pairs: dict[frozenset[str], tuple[str, str]] = {}
    for name, swap in swaps.items():
        if swap not in ("", name):
            pairs.setdefault(frozenset((name, swap)), (name, swap))
    links = [entry.get("link") for _, entry in _entries(document, "skeleton_info")]
    return of_document(
        {
            "name": document.get("dataset_name"),
            "keypoints": names,
            "limbs": list({frozenset(pair): pair for pair in pairs_of("skeleton_info", links)}.values()),
            "flip_pairs": list(pairs.values()),
            "sigmas": list(document.get("sigmas") or []),
        }
    )


def _entries(document: Mapping[str, Any], name: str) -> list[tuple[Any, Mapping[str, Any]]]:
    entries = document.get(name) or {}
    if not isinstance(entries, Mapping) or not all(isinstance(entry, Mapping) for entry in entries.values()):
        raise InputError(f"`{name}` must be an object of objects, as in mmpose's dataset_info")
    return list(entries.items())
