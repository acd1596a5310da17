"""Runs a DAG on a cluster: `python -m pipelines.submit`, or `make submit`; `--dag predicting`, or `make predict`.

The command compiles the DAG for the cluster's settings, uploads it as a version named by git revision and content,
starts it and follows it to its end. Without a source, it trains on the drawn sample. Exit code: 0 accepted or nothing
new, 3 rejected by the verdict, 1 failed or not started, 4 cancelled or not finished in time, 130 if Ctrl-C left the run
running. (make ends with 2 after each of them but 0; --verdict writes a file that survives it.)
"""

import contextlib
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
import yaml

from components import revision
from components.command import converted, named, read_yaml
from openpose import storage
from openpose.drawn_people.source import SAMPLE
from openpose.errors import InputError, reports_errors
from openpose.parameters import REQUIRED
from pipelines import images as built_images
from pipelines import kfp_api, local, predicting, training
from pipelines import settings as cluster_settings
from pipelines.dag import Dag
from pipelines.follow import ENDED, follow
from pipelines.kfp_api import Api
from pipelines.settings import Settings

LEFT_RUNNING = 130
DAGS = {"training": training.DAG, "predicting": predicting.DAG}


@dataclass(frozen=True)
class Plan:
    """The content of a request to the cluster.

    Attributes:
        dag: that is run.
        version: name of the pipeline's version.
        content: the compiled pipeline.
        run: the API request that starts a run, without the identifiers of version and experiment.
    """

    dag: Dag
    version: str
    content: bytes
    run: dict[str, Any]


@dataclass(frozen=True)
class Request:
    """The version and the parameters of a run, and its cluster."""

    settings: str = "pvc"
    """Settings of the cluster: a .yaml file, or the name of one in pipelines/clusters."""
    images: Path = built_images.BUILT
    """File with the built images, as make images writes it."""
    param: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME=VALUE")] = ()
    """A parameter of the pipeline; may be repeated."""
    params_file: Annotated[Path | None, tyro.conf.arg(aliases=["--config"], metavar="FILE")] = None
    """YAML or JSON file with parameters; --param overrides them."""
    experiment: str = "openpose"
    """Experiment of the run."""
    version: str = ""
    """Name of the pipeline's version; by default the git revision, the settings' name and a hash of the content."""
    namespace: str = ""
    """Namespace of the user, in a Kubeflow with several users."""
    allow_dirty: tyro.conf.FlagCreatePairsOff[bool] = False
    """Allow uncommitted changes."""


@dataclass(frozen=True)
class Options(Request):
    """Runs the pipeline on the cluster that KF_PIPELINES_ENDPOINT or kubectl's context names."""

    dag: Literal["training", "predicting"] = "training"
    """What to run: training, or predicting, which finds people in many pictures."""
    name: str = ""
    """Name of the run; by default the version and the time."""
    hours: float = 168.0
    """Follow the run for at most this many hours."""
    no_wait: tyro.conf.FlagCreatePairsOff[bool] = False
    """Start the run without following it."""
    dry_run: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the request and the compiled pipeline, and send nothing."""
    summary: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Append the run's summary to this file, as Markdown."""
    result: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the run's summary to this file, as JSON."""
    verdict: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the verdict to this file, as make hides exit codes: accepted, nothing new, rejected, failed, cancelled or
    not finished."""


@reports_errors
def main(arguments: Sequence[str] | None = None, program: str = "python -m pipelines.submit") -> int:
    """Submits the run; returns the exit code."""
    return submit(tyro.cli(Options, prog=program, args=arguments))


def submit(options: Options) -> int:
    """Submits a run and follows it; returns the exit code.

    Raises:
        InputError: an option cannot be used, or the server refuses it.
    """
    if options.verdict:
        options.verdict.unlink(missing_ok=True)  # of an earlier run
    plan = planned(options, DAGS[options.dag])
    plan.run["display_name"] = options.name or f"{plan.version} {time.strftime('%Y-%m-%d %H:%M:%S')}"
    if options.dry_run:
        about = {"pipeline": plan.dag.name, "version": plan.version, "experiment": options.experiment, "run": plan.run}
        print(f"# {json.dumps(about)}\n{plan.content.decode()}", end="")
        return 0
    api = kfp_api.connect(options.namespace)
    identifier = api.start(sendable(api, plan, options.experiment))
    page, how = kfp_api.run_page(api, identifier)
    print(f"{page}  ({how})" if how else page, flush=True)
    print(f"run {identifier}, version {plan.version}", flush=True)
    if options.no_wait:
        return 0
    try:
        end = follow(api, identifier, options.hours)
    except KeyboardInterrupt:
        return _interrupted(api, identifier)
    print(end.text)
    if options.verdict:
        storage.write_text(options.verdict, f"{end.verdict}\n")
    if options.result and end.summary:
        storage.write_json(options.result, end.summary.document())
    if options.summary:
        with options.summary.open("a") as file:
            file.write(f"{end.page}\n" + (f"Run `{identifier}`\n" if how else f"[The run's page]({page})\n"))
    return end.code


def planned(request: Request, dag: Dag = training.DAG, **defaults: Any) -> Plan:
    """Compiles the pipeline and checks the parameters of a request.

    Args:
        request: to plan.
        dag: that is run.
        defaults: of parameters, instead of the DAG's.

    Raises:
        InputError: a setting, an image or a parameter cannot be used.
    """
    settings = cluster_settings.read(request.settings)
    commit = "" if request.version else _commit(request.allow_dirty)
    values = parameters(request.params_file, request.param, settings, dag)
    run: dict[str, Any] = {"runtime_config": {"parameters": defaults | values}}
    if settings.service_account:
        run["service_account"] = settings.service_account
    content = _compiled(dag, settings, _images(request.images, settings))
    return Plan(dag, request.version or _version(commit, request.settings, content), content, run)


def sendable(api: Api, plan: Plan, experiment: str) -> dict[str, Any]:
    """The request that starts a run; creates its pipeline, version and experiment if they do not exist."""
    pipeline = api.pipeline(plan.dag.name, plan.dag.words)
    version = ensure_version(api, pipeline, plan)
    return plan.run | {
        "pipeline_version_reference": {"pipeline_id": pipeline, "pipeline_version_id": version},
        "experiment_id": api.experiment(experiment),
    }


def ensure_version(api: Api, pipeline: str, plan: Plan) -> str:
    """Finds a plan's version of a pipeline by name, or uploads it; returns its identifier.

    Raises:
        InputError: the version exists with other content.
    """

    def find() -> str | None:
        found = api.version(pipeline, plan.version)
        if found and not _same(found["pipeline_spec"], plan.content):
            raise InputError(
                f"version {plan.version} of {plan.dag.name} already exists with other content (other images, settings "
                "or KFP); commit your changes, or give another name with --version"
            )
        return found["pipeline_version_id"] if found else None

    return kfp_api.found_or_made(find, lambda: api.upload_version(pipeline, plan.version, plan.content))


def _same(spec: dict[str, Any], content: bytes) -> bool:
    """Whether the server's version has this content; the server stores both YAML documents in one object."""
    documents = list(yaml.load_all(content, yaml.CSafeLoader))  # the safe loader in C: ten times as fast
    ours = {"pipeline_spec": documents[0], **({"platform_spec": documents[1]} if len(documents) > 1 else {})}
    theirs = spec if "pipeline_spec" in spec else {"pipeline_spec": spec}
    return _plain(ours) == _plain(theirs)


def _plain(value: Any) -> Any:
    """Normalises a document, because the server leaves out empty parts, and may write 5 as 5.0."""
    if isinstance(value, dict):
        parts = {name: _plain(part) for name, part in value.items()}
        return {name: part for name, part in parts.items() if part not in ({}, [], "", None)}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, bool) or value is None:
        return value
    return str(float(value)) if isinstance(value, int | float) else value


def parameters(file: Path | None, given: Sequence[str], settings: Settings, dag: Dag = training.DAG) -> dict[str, Any]:
    """The run's parameters: those of a file, overridden by texts NAME=VALUE.

    To a training without a source, it adds those of the drawn sample.

    Raises:
        InputError: a parameter is unknown, is missing or has another type.
    """
    values = read_yaml(file, dag.parameters) if file else {}
    values |= named(given, "--param")
    if "source" in dag.parameters and "source" not in values | settings.parameters:
        values = {"source": SAMPLE} | local.SAMPLE | values
    values = converted(values, dag.parameters)
    for name, each in dag.parameters.items():
        if each.default is REQUIRED and name != "root" and name not in values | settings.parameters:
            raise InputError(f"`{name}` is missing; give --param {name}=…: {each.words}")
    if not (values | settings.parameters).get("root"):
        raise InputError(
            "`root`, the storage root for all pods, is missing; give --param root=gs://bucket/prefix or s3://…"
        )
    return values


def _commit(allow_dirty: bool) -> str:
    """The git revision of this checkout, in short."""
    described = revision.commit(12)
    if described is None:
        raise InputError("this is not a git checkout, so the version has no name; give one with --version")
    if described.endswith("-dirty") and not allow_dirty:
        raise InputError("files have changed since the last commit; commit them, or give --allow-dirty")
    return described


def _version(commit: str, settings: str, content: bytes) -> str:
    """Name of the pipeline's version: the commit, the settings' name unless they are the default, and a hash.

    The hash tells apart two settings of one name, and settings that changed without a commit.
    """
    stem = Path(settings).stem
    return "-".join([commit, *([] if stem == "pvc" else [stem]), hashlib.sha256(content).hexdigest()[:8]])


def _images(file: Path, settings: Settings) -> dict[str, Any]:
    """Reads the built images.

    Raises:
        InputError: an image that the settings need is not built.
    """
    images = built_images.read(file)
    if missing := built_images.missing(images, settings.variants()):
        raise InputError(f"{file}: {missing} (with REGISTRY=… PUSH=1 for a cluster that pulls its images)")
    return images


def _compiled(dag: Dag, settings: Settings, images: dict[str, Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dag.yaml"
        dag.compile_to(file, settings, images)
        return file.read_bytes()


def _interrupted(api: Api, run: str) -> int:
    """Asks after Ctrl-C whether to terminate the run; returns the exit code."""
    answer = ""
    if sys.stdin.isatty():
        with contextlib.suppress(KeyboardInterrupt, EOFError):
            answer = input("\nterminate the run? Otherwise it continues. [y/N] ")
    if answer.strip().lower() in ("y", "yes"):
        api.terminate(run)
        print("terminated; finished work is kept, and the same command resumes from there")
        return ENDED
    print(f"\nthe run continues: make logs RUN={run}, make cancel RUN={run}")
    return LEFT_RUNNING


if __name__ == "__main__":
    sys.exit(main())
