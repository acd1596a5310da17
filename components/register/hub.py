"""Adds champions to Kubeflow's Model Registry (Kubeflow Hub), where there is one.

A registry of ours is a registered model there, a champion a version of it, and each exported format an artifact of
that version. The registry below the storage root decides who is champion, so a Model Registry that does not answer is
a warning and stops nothing.

The package `model-registry` is not used: each of its versions talks to servers of one version of the API only, either
v1alpha3 (Kubeflow 26.03) or v1.
"""

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from components import status
from openpose.coco import remote_files
from openpose.evaluation.registry import Champion
from openpose.model_files.manifest import ModelManifest

ADDRESS = "MODEL_REGISTRY_BASE_URL"  # as in Kubeflow's own programs; empty for none
TOKEN = "KF_PIPELINES_SA_TOKEN_PATH"  # likewise
VOLUME = "OPENPOSE_VOLUME"  # claim:path, the volume's claim and where the pods have it
AUTHOR = "openpose-kubeflow"
VERSIONS = ("v1", "v1alpha3")  # of the API; what is used here is the same in both
_SERVICE = "model-registry-service.kubeflow.svc"  # where Kubeflow's manifests install it
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SECONDS = 20  # for an answer
_RETRIES = Retry(3, backoff_factor=1, status_forcelist=(502, 503, 504))


def address() -> str:
    """Address of the Model Registry: that of the variable, or a run's cluster's own; empty where there is none."""
    given = os.environ.get(ADDRESS)
    if given is None:
        return f"http://{_SERVICE}:8080" if status.run() and _resolves(_SERVICE) else ""
    return (given if "//" in given or not given else f"http://{given}").rstrip("/")


def _resolves(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


def add(champion: Champion, exported: ModelManifest, at: str) -> None:
    """Adds a champion, or what is missing of it, to a Model Registry; a warning says why where that fails.

    Args:
        champion: with the name of its entry.
        exported: its files.
        at: address of the Model Registry.
    """
    named = remote_files.public(at)
    try:
        with requests.Session() as session:
            _add(_Api(session, at), champion, exported)
    except (OSError, ValueError, KeyError) as error:  # among them those of requests
        said = isinstance(error, requests.HTTPError | ValueError | KeyError)
        reason = error if said else remote_files.reason(error)
        print(f"warning: the Model Registry at {named} does not have {champion.version}: {reason}", file=sys.stderr)
    else:
        print(f"version {champion.version} of {champion.registry} in the Model Registry at {named}", flush=True)


def _add(api: "_Api", champion: Champion, exported: ModelManifest) -> None:
    words = "Models that OpenPose on Kubeflow accepted; the newest version on a data set is its champion."
    model = api.found_or_made(
        "registered_model", "registered_models", {"name": champion.registry, "description": words}
    )
    version = api.found_or_made(
        "model_version",
        f"registered_models/{model}/versions",
        {
            "name": champion.version,
            "registeredModelId": model,
            "author": AUTHOR,
            "description": champion.reason,
            "customProperties": _properties(facts(champion)),
        },
        parentResourceId=model,
    )
    for name, place in exported.files.items():
        digest = exported.sha256.get(Path(place).name)  # a folder has none
        artifact = {
            "name": name,
            "artifactType": "model-artifact",
            "uri": uri(place),
            "modelFormatName": name,
            "customProperties": _properties({"sha256": digest} if digest else {}),
            **source(champion),
        }
        api.found_or_made("model_artifact", f"model_versions/{version}/artifacts", artifact, parentResourceId=version)


class _Api:
    """The Model Registry's API.

    Args:
        session: sends the requests.
        at: the server's address.

    Raises:
        requests.RequestException: the server does not answer, or speaks no version of the API that is known here.
    """

    def __init__(self, session: requests.Session, at: str) -> None:
        session.mount(at, HTTPAdapter(max_retries=_RETRIES))
        file = Path(os.environ.get(TOKEN) or _ACCOUNT / "token")
        if file.exists():
            session.headers["Authorization"] = f"Bearer {file.read_text().strip()}"
        self._session = session
        for version in VERSIONS:
            self._base = f"{at}/api/model_registry/{version}"
            answer = session.get(f"{self._base}/registered_models", params={"pageSize": "1"}, timeout=_SECONDS)
            if answer.status_code != requests.codes.not_found:
                break
        _check(answer)

    def found_or_made(self, one: str, all: str, content: dict[str, Any], **parent: str) -> str:
        """The id of what has this name, which is made if it is not there.

        Args:
            one: path that finds by name.
            all: path that makes one.
            content: with the name.
            parent: what it belongs to.
        """

        def find() -> requests.Response:
            wanted = {"name": content["name"], **parent}
            return self._session.get(f"{self._base}/{one}", params=wanted, timeout=_SECONDS)

        answer = find()
        if answer.status_code == requests.codes.not_found:
            answer = self._session.post(f"{self._base}/{all}", json=content, timeout=_SECONDS)
        if answer.status_code == requests.codes.conflict:  # another run has made it in this moment
            answer = find()
        _check(answer)
        return str(answer.json()["id"])


def _check(answer: requests.Response) -> None:
    if not answer.ok:
        raise requests.HTTPError(f"{answer.status_code} {answer.reason}: {answer.text[:200].strip()}")


def _properties(values: Mapping[str, float | str]) -> dict[str, Any]:
    """Numbers and texts as the API has them."""
    return {
        name: {"metadataType": "MetadataStringValue", "string_value": value}
        if isinstance(value, str)
        else {"metadataType": "MetadataDoubleValue", "double_value": value}
        for name, value in values.items()
    }


def facts(champion: Champion) -> dict[str, float | str]:
    """Figures and fingerprints of a champion, for its version."""
    texts = {
        "data": champion.data,
        "training": champion.run,
        "revision": champion.revision,
        "evaluation": champion.evaluation.folder,
        "mlflow_run": champion.origin.tracked,
        "beaten": champion.beaten,
    }
    figures = {name: float(value) for name, value in champion.figures.items() if value is not None}
    return figures | {name: text for name, text in texts.items() if text}


def source(champion: Champion) -> dict[str, str]:
    """The run of Kubeflow Pipelines that made a champion, in the Model Registry's words; nothing on one machine."""
    origin, namespace = champion.origin, _ACCOUNT / "namespace"
    if not origin.run:
        return {}
    return {
        "modelSourceKind": "kfp",
        "modelSourceClass": "pipelinerun",
        "modelSourceGroup": namespace.read_text() if namespace.exists() else "kubeflow",
        "modelSourceId": origin.run,
        "modelSourceName": origin.name or origin.run,
    }


def uri(place: str) -> str:
    """The address from which KServe loads a file or folder: in a bucket, or on the volume of a claim."""
    claim, _, mount = os.environ.get(VOLUME, "").partition(":")
    if "://" in place:
        return place
    if claim and place.startswith(f"{mount}/"):
        return f"pvc://{claim}/{place.removeprefix(f'{mount}/')}"
    return Path(place).absolute().as_uri()
