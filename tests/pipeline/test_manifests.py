"""The rendered manifests: the properties that a cluster's administrator relies on."""

import functools
import importlib.util
import shutil
from pathlib import Path
from typing import Any

import kserve
import kubernetes
import pytest
import tyro
import yaml

from components.train import pods
from openpose.errors import InputError
from openpose.serving import __main__ as serving
from openpose.serving import server
from pipelines import images, manifests, settings

IMAGE = "registry.example.com/openpose@sha256:" + 64 * "0"
BUILT = {variant: {"image": f"{variant}.{IMAGE}"} for variant in images.VARIANTS}
OVERLAYS = sorted(path.name for path in manifests.OVERLAYS.iterdir())

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl, which renders them")


@functools.cache
def rendered(overlay: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The objects by kind and name."""
    objects = list(yaml.load_all(manifests.render(overlay, BUILT), yaml.CSafeLoader))
    named = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    assert len(named) == len(objects)
    return named


@pytest.mark.parametrize("overlay", [overlay for overlay in OVERLAYS if overlay != "s3"])  # it deploys no pod
def test_pods_fit_the_restricted_standard_and_have_limits(overlay: str) -> None:
    objects = rendered(overlay)
    if overlay == "serving":
        variant, pod = "serve", objects["InferenceService", "openpose"]["spec"]["predictor"]
    else:
        variant, pod = "cpu", objects["Deployment", "openpose-tensorboard"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["image"] == BUILT[variant]["image"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_accounts_may_no_more_than_they_need(overlay: str) -> None:
    objects = rendered(overlay)
    for (kind, name), each in objects.items():
        assert not kind.startswith("ClusterRole"), name
        for rule in each.get("rules", []):
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"], name
            if "secrets" in rule["resources"]:
                assert rule["resourceNames"] == ["mlpipeline-minio-artifact"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_can_be_found_again_and_nothing_of_others_is_removed(overlay: str) -> None:
    for (kind, name), each in rendered(overlay).items():
        assert name.startswith("openpose"), (kind, name)  # in particular no namespace
        if kind not in ("ResourceFlavor", "ClusterQueue"):
            assert each["metadata"]["namespace"] == "kubeflow", (kind, name)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_goes_to_the_users_namespace(overlay: str) -> None:
    objects = list(yaml.load_all(manifests.render(overlay, BUILT, "pose-team"), yaml.CSafeLoader))
    for each in objects:
        assert each["metadata"].get("namespace", "pose-team") == "pose-team"
        for subject in each.get("subjects", []):
            assert subject["namespace"] == "pose-team"
    ours = [each for each in objects if each["kind"] not in ("ResourceFlavor", "ClusterQueue")]
    assert all("namespace" in each["metadata"] for each in ours)
    with pytest.raises(InputError, match="small letters"):
        manifests.render(overlay, BUILT, "Pose Team")


def test_settings_use_what_is_deployed() -> None:
    for overlay, name in (("local", "small"), ("gpu", "gpu"), ("gcs", "gcs"), ("s3", "s3"), ("gpu", "pvc")):
        objects, chosen = rendered(overlay), settings.read(name)
        assert ("ServiceAccount", chosen.service_account) in objects
        assert (("PersistentVolumeClaim", chosen.claim or "openpose") in objects) == bool(chosen.claim), name


def test_several_pods_share_the_volume_except_on_one_node() -> None:
    modes = {
        overlay: rendered(overlay)["PersistentVolumeClaim", "openpose"]["spec"]["accessModes"]
        for overlay in ("local", "gpu", "kueue")
    }
    assert modes == {"local": ["ReadWriteOnce"], "gpu": ["ReadWriteMany"], "kueue": ["ReadWriteMany"]}


def test_tensorboard_is_reached_on_its_port_only() -> None:
    objects = rendered("gpu")
    policy = objects["NetworkPolicy", "openpose-tensorboard"]["spec"]
    assert policy["egress"] == []
    assert [rule["ports"] for rule in policy["ingress"]] == [[{"port": 6006}]]
    service = objects["Service", "openpose-tensorboard"]["spec"]
    labels = objects["Deployment", "openpose-tensorboard"]["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector selects these labels, as Kubernetes does."""
    tests = [labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()]
    for each in selector.get("matchExpressions", []):
        has = each["key"] in labels
        tests.append(
            {
                "In": has and labels.get(each["key"]) in each.get("values", []),
                "NotIn": not has or labels[each["key"]] not in each.get("values", []),
                "Exists": has,
                "DoesNotExist": not has,
            }[each["operator"]]
        )
    return all(tests)


def labels_of_steps() -> dict[str, dict[str, str]]:
    """The labels of each step's pod, as compiled and as Kubeflow adds to them."""
    golden = Path(__file__).parent / "golden/machines.yaml"
    _, platform = yaml.load_all(golden.read_text(), yaml.CSafeLoader)
    steps = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {name: {"pipeline/runid": "1"} | step["podMetadata"]["labels"] for name, step in steps.items()}


def test_the_policy_of_runs_is_for_our_pods_only() -> None:
    policy = rendered("gpu")["NetworkPolicy", "openpose-runs"]["spec"]
    ours = labels_of_steps()
    assert len(ours) > 5
    machine = pods.labels({"metadata": {"labels": {"pipeline/runid": "1"}}})
    for labels in (*ours.values(), machine):
        assert selects(policy["podSelector"], labels)
    others: tuple[dict[str, str], ...] = (
        {
            "pipeline/runid": "2",
            "workflows.argoproj.io/workflow": "churn-x7k2p",
            "pipelines.kubeflow.org/v2_component": "true",
        },
        {"pipeline/runid": "2", "app.kubernetes.io/name": "openpose"},
        {"app": "ml-pipeline"},
        {},
    )
    (source,) = policy["ingress"][0]["from"]
    for labels in others:
        assert not selects(policy["podSelector"], labels), "another team's pods keep their connections"
        assert not selects(source["podSelector"], labels), "they cannot reach a training"
    assert selects(source["podSelector"], machine), "the machines of a training reach each other"
    assert set(source) == {"podSelector"}, "of this namespace only"
    assert policy["policyTypes"] == ["Ingress"]


def test_the_service_serves_the_newest_model_below_the_root_of_the_settings() -> None:
    service = rendered("serving")["InferenceService", "openpose"]
    (container,) = service["spec"]["predictor"]["containers"]
    assert service["spec"]["predictor"].keys() <= set(kserve.V1beta1PredictorSpec.attribute_map.values())
    assert container.keys() <= set(kubernetes.client.V1Container.attribute_map.values())
    assert container["name"] == "kserve-container", "the name that KServe looks for"
    chosen = settings.read("pvc")
    assert container["env"] == [{"name": "STORAGE_URI", "value": f"pvc://{chosen.claim}"}]
    *start, module = container["command"]
    assert start == ["python", "-m"]
    assert importlib.util.find_spec(module)
    flags = tyro.cli(serving.Flags, args=container["args"])
    below = Path(chosen.parameters["root"]).relative_to(settings.MOUNT)
    assert flags.root == f"/mnt/models/{below}"
    assert [port["containerPort"] for port in container["ports"]] == [flags.port]


def test_a_pod_of_the_service_that_ends_answers_what_still_arrives_and_what_has_begun() -> None:
    predictor = rendered("serving")["InferenceService", "openpose"]["spec"]["predictor"]
    (container,) = predictor["containers"]
    sleep, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert sleep == "sleep"
    assert 3 <= int(seconds) <= predictor["terminationGracePeriodSeconds"] - server.DRAIN


def test_image_that_was_not_built_is_named_with_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    manifests.render("serving", {"serve": {"image": images.PLACEHOLDER}})
    assert "pods of serving cannot start: no image 'serve' was built" in (said := capsys.readouterr().err)
    assert "`make images VARIANT=serve`" in said


def test_unknown_overlay() -> None:
    with pytest.raises(InputError, match="choose one of: gcs, gpu, kueue, local, s3, serving"):
        manifests.render("moon", BUILT)
