"""Reads a table of numbers that pandas wrote to an HDF5 file (`DataFrame.to_hdf`, as DeepLabCut calls it).

pandas has two formats, `fixed` and `table`. The latter keeps its column names as a pickle: one of lists, tuples and
text is read, and anything else that a pickle could do is refused.
"""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from openpose.errors import InputError

_CURE = "put the .csv of the same name beside it, which DeepLabCut writes too, or save the labels again"


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: names of the columns, a tuple of text for each.
        index: names of the rows; several levels are joined by `/`.
        values: float64 [rows, columns].
    """

    columns: list[tuple[str, ...]]
    index: list[str]
    values: np.ndarray


def read(place: Path) -> Table:
    """Reads the only table of a file.

    Raises:
        InputError: the file is damaged, or is not what pandas writes.
    """
    try:
        with h5py.File(place) as file:
            group = next((file[name] for name in file if "pandas_type" in file[name].attrs), None)
            if group is None:
                raise ValueError("it has no table")
            kind = _text(group.attrs["pandas_type"])
            table = _read_table(group) if kind.endswith("_table") else _read_fixed(group)
    except (OSError, KeyError, ValueError, TypeError, IndexError, RuntimeError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{place}: not HDF5 of pandas that can be read ({' '.join(str(error).split())}); {_CURE}"
        ) from error
    if table.values.shape != (len(table.index), len(table.columns)):
        raise InputError(f"{place}: its {table.values.shape} values do not fit its rows and columns; {_CURE}")
    return table


def _read_fixed(group: h5py.Group) -> Table:
    columns = _axis(group, "axis0")
    values = np.full((len(group["axis1" if "axis1" in group else "axis1_label0"]), len(columns)), np.nan)
    for number in range(int(group.attrs["nblocks"])):
        places = [columns.index(name) for name in _axis(group, f"block{number}_items")]
        values[:, places] = group[f"block{number}_values"][()]
    return Table(columns, ["/".join(names) for names in _axis(group, "axis1")], values)


def _axis(group: h5py.Group, name: str) -> list[tuple[str, ...]]:
    """The names along an axis, each with all its levels."""
    if name in group:
        return [(_text(each),) for each in group[name][()]]
    levels = []
    for level in range(int(group.attrs[f"{name}_nlevels"])):
        names = [_text(each) for each in group[f"{name}_level{level}"][()]]
        levels.append([names[code] for code in group[f"{name}_label{level}"][()]])
    return list(zip(*levels, strict=True))


def _read_table(group: h5py.Group) -> Table:
    rows = group["table"][()]
    ((_, names),) = _unpickled(group.attrs["non_index_axes"])
    columns = [tuple(map(str, name)) for name in names]
    values = np.full((len(rows), len(columns)), np.nan)
    index: dict[str, np.ndarray] = {}
    for field in rows.dtype.names:
        if rows[field].dtype.kind == "f":
            own = [columns.index(tuple(map(str, name))) for name in _unpickled(group["table"].attrs[f"{field}_kind"])]
            values[:, own] = rows[field].reshape(len(rows), -1)
        elif rows[field].dtype.kind == "S":
            index[field] = rows[field].reshape(len(rows))
    return Table(columns, ["/".join(map(_text, parts)) for parts in zip(*index.values(), strict=True)], values)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class _TextOnly(pickle.Unpickler):
    """Refuses to make objects of any class, which is how a pickle runs code."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it has an object of {module}.{name}")


def _unpickled(content: Any) -> Any:
    return _TextOnly(io.BytesIO(content if isinstance(content, bytes) else bytes(content))).load()
