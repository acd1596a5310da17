"""KFP's declaration of the step, with all parameters of the DAG as inputs.

KFP ships a component's source and reads its inputs from the function's signature. A template writes this function, so
that the DAG's parameters and the check's outputs need no second copy here.
"""

import linecache
from collections.abc import Mapping
from typing import Any, NamedTuple

from kfp import dsl

_SOURCE = '''\
def check(
    machine: dict,
    watcher: dict,
{inputs}
) -> NamedTuple(
    "Checked",
    [
{outputs}
    ],
):
    """Refuses parameters that cannot work, within seconds; passes on each step's parameters in one struct."""
    values = dict(
{values}
    )
    from components import artifacts
    from components.check.check import check

    with artifacts.clear_errors():
        checked = check(values, machine, watcher)
    return (
{results}
    )
'''


def component(inputs: Mapping[str, type], outputs: Mapping[str, type]) -> Any:
    """The component.

    Args:
        inputs: name and type of each parameter of the DAG.
        outputs: name and type of each value that the check returns.
    """
    source = _SOURCE.format(
        inputs="\n".join(f"    {name}: {kind.__name__}," for name, kind in inputs.items()),
        outputs="\n".join(f'        ("{name}", {kind.__name__}),' for name, kind in outputs.items()),
        values="\n".join(f"        {name}={name}," for name in inputs),
        results="\n".join(f"        checked[{name!r}]," for name in outputs),
    )
    file = "<check>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # KFP reads the source here
    namespace: dict[str, Any] = {"NamedTuple": NamedTuple}
    exec(compile(source, file, "exec"), namespace)
    return dsl.component(base_image="openpose-kubeflow:dev", install_kfp_package=False)(namespace["check"])
