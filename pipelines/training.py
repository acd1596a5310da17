"""The DAG: check, download, records, train, evaluate, and export and register, or a report that says why not.

`python -m pipelines.training` compiles it to build/training.yaml.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from kfp import compiler, dsl

from components.check.component import check
from components.coco_download.champion_check import NEW
from components.coco_download.component import coco_download
from components.evaluate.component import evaluate
from components.export.component import explain_rejection, export
from components.finish.component import finish
from components.register.component import register
from components.tfrecord_targets.component import collect_records, tfrecord_targets
from components.train.component import train
from openpose.errors import InputError
from pipelines import images as built_images
from pipelines import settings as cluster_settings
from pipelines.settings import Settings


def pipeline(settings: Settings | None, images: dict[str, Any]) -> Any:
    """The DAG for a cluster, or for this machine.

    Args:
        settings: of the cluster; None here, where KFP would wait minutes before it repeats a step that failed.
        images: of `pipelines.images.read`.

    Returns:
        KFP's pipeline.
    """

    def asked(part: str) -> dict[str, str]:
        """What the pods of a part ask for; nothing here."""
        pod = getattr(settings, part, None)
        return {"cpu": pod.cpu, "memory": pod.memory, "accelerator": pod.accelerator} if pod else {}

    def placed(task: dsl.PipelineTask, part: str, cached: bool = True, retried: bool = True) -> dsl.PipelineTask:
        if settings:
            settings.place(task, part, images, retried)
        return task.set_caching_options(cached)

    @dsl.pipeline(name="openpose-training")
    def training(
        source: str,
        root: str,
        train_annotations: str = "",
        val_annotations: str = "",
        train_pictures: str = "",
        val_pictures: str = "",
        val_share: float = 0.0,
        data_seed: int = 0,
        unpack: bool = False,
        workers: int = 2,
        shard_mb: float = 128.0,
        images_per_shard: int = 0,
        max_bad_share: float = 0.01,
        dense: str = "val",
        model: str = "mobilenet_thin",
        width: float = 1.0,
        stages: int = 0,
        init: str = "",
        init_partial: bool = False,
        size: int = 368,
        input_width: int = 0,
        batch_size: int = 16,
        epochs: int = 30,
        learning_rate: str = "0.001",
        decay: str = "exponential",
        warmup: int = 200,
        optimizer: str = "adam",
        weight_decay: float = 0.0005,
        clip_norm: float = 0.0,
        backbone_rate: float = 1.0,
        freeze_norms: bool = False,
        ema: float = 0.0,
        accumulate: int = 1,
        precision: str = "float32",
        early_stop: int = 0,
        min_scale: float = 0.5,
        max_scale: float = 1.1,
        max_rotation: float = 40.0,
        sigma: float = 7.0,
        machines: int = 1,
        gpus: int = 0,
        save_minutes: float = 10.0,
        ap_images: int = 0,
        height: int = 0,
        min_ap: float = 0.0,
        max_valid_loss: float = 0.0,
        tolerance: float = 0.01,
        registry: str = "openpose",
        pixels: str = "bgr",
        formats: str = "all",
        seed: int = 0,
        only_new: bool = False,
        revision: str = "",
    ) -> None:
        """Trains OpenPose on COCO-format data and exports the network when it is good enough.

        Args:
            source: coco2017; sample, which is drawn; or a folder or an address (http://, https://, gs://, file://)
                with COCO's official names.
            root: Storage root: a folder that all steps see, or gs://bucket/prefix.
            train_annotations: The training split's JSON file below the source, when its name is not COCO's.
            val_annotations: The same for the validation split.
            train_pictures: The training split's folder or zip archive of pictures, when its name is not COCO's.
            val_pictures: The same for the validation split.
            val_share: Share of the training file's images that is held out for validation instead of a file of its own.
            data_seed: Of the order of the images in the records, and of the share that is held out.
            unpack: Unpack the archives of pictures, for those who want files.
            workers: How many workers share the training split's records.
            shard_mb: Megabytes of pictures in one TFRecord shard.
            images_per_shard: Images in one TFRecord shard instead; 0 leaves it to shard_mb.
            max_bad_share: Images that cannot be read are left out and named, up to this share.
            dense: Which splits carry heatmap, vectmap and mask, made once: val, both (then nothing is augmented) or
                none.
            model: Name of the network, such as mobilenet_thin or lightweight; python -m openpose.networks lists them.
            width: Factor on the network's number of channels; 1 is the published network.
            stages: Number of the network's stages; 0 for the published number.
            init: Weights to start from: a model of ours (.keras), a graph of tf-pose-estimation (.pb), imagenet for the
                backbone, or a file of these (.h5); nothing for random ones.
            init_partial: Take what fits of them, and say what does not.
            size: Height and width of the network's input in pixels, a multiple of 8.
            input_width: Its width when that is another; 0 for a square.
            batch_size: Samples in one step, over all GPUs of all machines.
            epochs: How often each sample is seen.
            learning_rate: One number, or several with commas: one for each 5 epochs.
            decay: Of one learning rate: exponential (x0.33 every 10000 steps) or cosine (to 0 at the end).
            warmup: Steps in which the rate rises from 0, so that the first, large gradients do no harm.
            optimizer: adam; adamw, which also draws kernels towards 0 against overfitting; or sgd with Nesterov's
                momentum.
            weight_decay: Of adamw and sgd: how strongly kernels (not norms and biases) are drawn towards 0.
            clip_norm: Gradients with a longer global norm are shortened to it, against odd batches; 0 leaves them.
            backbone_rate: Factor on the backbone's learning rate; below 1 it keeps more of what it started with.
            freeze_norms: Batch norm keeps the statistics of the weights in init: for fine-tuning on few pictures.
            ema: Share that a running average of the weights keeps in each step, such as 0.999; the average is validated
                and saved in place of the last weights. 0 for none.
            accumulate: Parts of a batch that go through the network one after the other, to save memory.
            precision: float32; bfloat16 or float16, faster where the device has it. The saved model is float32.
            early_stop: Stop when the validation loss has not fallen for so many epochs; the best weights count. 0:
                never.
            min_scale: Augmentation: smallest height of the centre person, as a factor on 0.6 of the input's height.
            max_scale: Augmentation: its largest height.
            max_rotation: Augmentation: degrees, either way.
            sigma: Width of the true heatmaps' Gaussians in pixels; 8 to go on from weights of tf-pose-estimation.
            machines: How many machines of the cluster share the training; each has a pod of its own.
            gpus: How many GPUs of each machine share the work, with synchronised batch norm; 0 for one device.
            save_minutes: A checkpoint after so many minutes, besides that of each epoch's end; 0 for none.
            ap_images: COCO AP on so many validation images at the end of each epoch; 0 for none.
            height: Pictures are resized to this height for COCO AP; 0 for the height that was trained.
            min_ap: The verdict needs at least this COCO AP.
            max_valid_loss: The verdict needs at most this validation loss; 0 for any.
            tolerance: The verdict needs a COCO AP that is lower than the champion's by at most this.
            registry: Name of the registry of the champions, the models that were accepted last (registry/<name>/).
            pixels: Order of the channels that the exported files take: bgr (tf-pose-estimation's clients) or rgb.
            formats: What is exported besides graph.pb: all, or some of saved_model, onnx, tflite, tflite_float16 and
                tflite_int8 with commas.
            seed: Of weights, order and augmentation.
            only_new: End after the data step when the champion was made by the same code, from the same data and with
                the same parameters.
            revision: Revision of the code; another one trains anew.
        """
        written_how = {
            "shard_mb": shard_mb,
            "images_per_shard": images_per_shard,
            "max_bad_share": max_bad_share,
            "dense": dense,
        }
        trained_how = {
            "model": model,
            "width": width,
            "stages": stages,
            "init": init,
            "init_partial": init_partial,
            "size": size,
            "input_width": input_width,
            "batch_size": batch_size,
            "epochs": epochs,
            "learning_rate": learning_rate,
            "decay": decay,
            "warmup": warmup,
            "optimizer": optimizer,
            "weight_decay": weight_decay,
            "clip_norm": clip_norm,
            "backbone_rate": backbone_rate,
            "freeze_norms": freeze_norms,
            "ema": ema,
            "accumulate": accumulate,
            "precision": precision,
            "early_stop": early_stop,
            "min_scale": min_scale,
            "max_scale": max_scale,
            "max_rotation": max_rotation,
            "sigma": sigma,
            "save_minutes": save_minutes,
            "machines": machines,
            "gpus": gpus,
            "ap_images": ap_images,
            "seed": seed,
        }
        demands = {"min_ap": min_ap, "max_valid_loss": max_valid_loss, "tolerance": tolerance, "registry": registry}
        exported_how = {"pixels": pixels, "formats": formats}
        with dsl.ExitHandler(placed(finish(root=root), "light", cached=False)):
            checked = check(
                root=root,
                machine=asked("train"),
                watcher=asked("light"),
                workers=workers,
                height=height,
                revision=revision,
                **written_how,
                **trained_how,
                **demands,
                **exported_how,
            )
            placed(checked, "light", cached=False, retried=False)  # the same parameters are wrong again
            downloaded = coco_download(
                source=source,
                root=root,
                train_annotations=train_annotations,
                val_annotations=val_annotations,
                train_pictures=train_pictures,
                val_pictures=val_pictures,
                val_share=val_share,
                seed=data_seed,
                unpack=unpack,
                workers=workers,
                recipe=checked.outputs["recipe"],
                registry=registry,
                only_new=only_new,
            )
            # KFP's cache does not see that the files behind an address changed; the step does.
            placed(downloaded, "data", cached=False)
            how = {"root": root, "size": size, **written_how}
            with dsl.If(downloaded.outputs["Output"] == NEW, name="new"):
                with dsl.ParallelFor(downloaded.outputs["shares"], name="share") as share:
                    written = tfrecord_targets(data=downloaded.outputs["data"], share=share, **how)
                    placed(written, "data")
                collected = collect_records(data=downloaded.outputs["data"], **how).after(written)
                placed(collected, "light")
                valid_records = collected.outputs["valid_records"]
                trained = train(
                    train_records=collected.outputs["train_records"],
                    valid_records=valid_records,
                    root=root,
                    revision=revision,
                    **trained_how,
                )
                placed(trained, "train", cached=False)  # finds its finished run itself, also when the root was emptied
                if settings:
                    settings.place_training(trained, checked.outputs)
                judged = evaluate(
                    run=trained.outputs["run"],
                    valid_records=valid_records,
                    root=root,
                    height=height,
                    revision=revision,
                    **demands,
                )
                placed(judged, "evaluate", cached=False)  # the verdict depends on the registry
                with dsl.If(judged.outputs["verdict"] == "accepted", name="accepted"):
                    exported = export(
                        run=trained.outputs["run"],
                        evaluation=judged.outputs["evaluation"],
                        train_records=collected.outputs["train_records"],
                        valid_records=valid_records,
                        root=root,
                        revision=revision,
                        **exported_how,
                    )
                    placed(exported, "evaluate")
                    champion = register(
                        evaluation=judged.outputs["evaluation"],
                        model=exported.outputs["graph"],
                        root=root,
                        made_of=downloaded.outputs["made_of"],
                    )
                    placed(champion, "light", cached=False)
                with dsl.Else(name="rejected"):
                    explained = explain_rejection(
                        reason=judged.outputs["reason"], evaluation=judged.outputs["evaluation"]
                    )
                    placed(explained, "light")

    return training


training = pipeline(None, {})


def compile_to(out: Path, settings: Settings, images: dict[str, Any]) -> None:
    """Compiles the DAG to a YAML file.

    Raises:
        InputError: the settings have a parameter that the DAG does not.
    """
    known = training.component_spec.inputs
    for name in settings.parameters:
        if name not in known:
            raise InputError(f"settings: parameters: the pipeline has no parameter {name!r}; see make help")
    out.parent.mkdir(parents=True, exist_ok=True)
    made = pipeline(settings, images)
    compiler.Compiler().compile(made, str(out), pipeline_parameters=settings.parameters or None)


def main() -> int:
    """Compiles the DAG; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.training", description="Compiles the DAG to YAML.")
    parser.add_argument("--out", type=Path, default=Path("build/training.yaml"), help="file (default: %(default)s)")
    parser.add_argument(
        "--settings", default="pvc", help="of the cluster: a .yaml file or a name of pipelines/clusters"
    )
    parser.add_argument("--images", type=Path, default=built_images.BUILT, help="what make images wrote")
    options = parser.parse_args()
    try:
        compile_to(options.out, cluster_settings.read(options.settings), built_images.read(options.images))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"compiled {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
