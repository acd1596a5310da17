"""One training step and one validation step, on any number of devices."""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from openpose import networks
from openpose.errors import InputError
from openpose.input import batches, render
from openpose.networks import loss
from openpose.networks.layers import Norm
from openpose.records import cache
from openpose.records.manifest import RecordsManifest
from openpose.skeleton import Skeleton
from openpose.training import data_service, optimizer, schedule
from openpose.training.batch_queue import BatchQueue
from openpose.training.parameters import TrainParameters

# No Python control flow here depends on tensors, and translating it with AutoGraph takes seconds.
_traced = partial(tf.function, autograph=False)
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


class Trainer:
    """A network and its optimizer on a strategy's devices.

    With several replicas, batch norm that is not frozen is synchronised: it normalises by the statistics of the global
    batch. So the same batches give the same weights on any number of devices, and a replica's share may be small.

    Args:
        parameters: what to train and how.
        skeleton: of the records.
        steps_per_epoch: of the training's epochs, for the learning rate.
        strategy: the devices.
        xla: compile the step with XLA.
        augment_on_device: the input pipeline yields regions of pictures, from which the step makes samples. By default
            on GPUs, which are faster at this than the CPU.

    Raises:
        InputError: the batch does not divide among the replicas, or XLA with several replicas.
    """

    def __init__(
        self,
        parameters: TrainParameters,
        skeleton: Skeleton,
        steps_per_epoch: int,
        strategy: tf.distribute.Strategy,
        xla: bool = False,
        augment_on_device: bool | None = None,
    ) -> None:
        parameters = parameters.filled()
        self.parameters, self.skeleton, self.strategy = parameters, skeleton, strategy
        self.queue = BatchQueue()
        self.replicas = strategy.num_replicas_in_sync
        self.several_workers = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        gpus = bool(tf.config.list_logical_devices("GPU"))
        self.augment_on_device = gpus if augment_on_device is None else augment_on_device
        self._check(xla)
        # Keras's initializers take their seeds from Python's generator. Nothing here uses TensorFlow's global seed.
        random.seed(parameters.seed)
        with strategy.scope():
            with _precision(parameters.precision):
                self.model = self._build()
            for layer in self.model.layers:
                if isinstance(layer, Norm):
                    layer.synchronized, layer.frozen = self.replicas > 1, parameters.freeze_norms
            self.rate = schedule.Scaled(
                schedule.make(
                    parameters.learning_rate, parameters.decay, steps_per_epoch, parameters.epochs, parameters.warmup
                )
            )
            self.optimizer = optimizer.make(parameters, self.rate, self.model)
        compiled = _traced(self._losses_and_gradients, jit_compile=True)
        # Only with XLA a function of its own: synchronised batch norm must not be in a nested function.
        self._backward = compiled if xla else self._losses_and_gradients

    def training_batches(self, records: RecordsManifest, first_step: int, remote: str = "") -> Iterator[Any]:
        """Endless global batches, starting with that of `first_step`.

        Args:
            records: manifest of the training split's records.
            first_step: number of steps done.
            remote: address of the data service that makes the batches; empty to make them here.
        """
        inputs, batch = self.parameters.inputs(), self.parameters.batch_size
        queue = self.queue = BatchQueue()

        def dataset(share: batches.WorkerShare) -> tf.data.Dataset:
            if not remote:
                return queue.ahead(
                    batches.training(records, self.skeleton, inputs, batch, first_step, share, self.augment_on_device)
                )
            # A service can only send regions: `render.with_image` is not made of TensorFlow operations alone.
            regions = batches.training(
                records, self.skeleton, inputs, batch, first_step, share, on_device=True, files=cache.copied
            )
            made = data_service.distribute(regions, remote)
            return queue.ahead(made if self.augment_on_device else batches.rendered(made, self.skeleton, inputs))

        made: Any = iter(self._distributed(dataset))
        if self.augment_on_device:
            # Regions differ in size between batches; without one function for all, each size would be traced.
            self.train_step.get_concrete_function(made.element_spec)
        received = data_service.patient(made, remote) if remote else made
        return queue.taken(received, 1 if self.replicas == 1 else len(self.strategy.extended.worker_devices))

    def validation_batches(self, records: RecordsManifest) -> Iterator[Iterable[Any]]:
        """For each validation the global batches, which contain each image of the split once.

        One iterator makes them all, because TensorFlow takes a third of a second to start another.
        """
        inputs, batch = self.parameters.whole_inputs(records), self.parameters.batch_size

        def dataset(share: batches.WorkerShare) -> tf.data.Dataset:
            return batches.validation(records, self.skeleton, inputs, batch, share).repeat()

        made: Any = iter(self._distributed(dataset))
        self.valid_step.get_concrete_function(made.element_spec)  # the last batch may be smaller: one function for all
        steps = batches.validation_steps(records.counts["images"], batch)
        while True:
            yield itertools.islice(made, steps)

    def _distributed(self, dataset: Callable[[batches.WorkerShare], tf.data.Dataset]) -> Any:
        """A dataset of global batches."""
        if self.replicas == 1:
            return dataset(batches.ALL)
        return self.strategy.distribute_datasets_from_function(
            lambda worker: dataset(
                batches.WorkerShare(worker.input_pipeline_id, worker.num_input_pipelines, self.replicas)
            )
        )

    @_traced
    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Trains on a global batch; returns its losses and `gradient_norm`."""
        return self._sum(self.strategy.run(self._train_replica, args=(batch,)))

    @_traced
    def valid_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Losses of a global batch times its size, with `training=False`; may be summed over batches."""
        return self._sum(self.strategy.run(self._valid_replica, args=(batch,)))

    @partial(_traced, input_signature=[tf.TensorSpec([None, None, None, 3])])
    def maps(self, images: tf.Tensor) -> tf.Tensor:
        """The last stage's maps of images on one device."""
        return tf.cast(networks.stage_outputs(self.model, images, training=False)[-1], tf.float32)

    def any_worker(self, value: bool) -> bool:
        """Whether it is true for any worker. All workers must call this at the same step; they wait for each other."""
        return self.total(float(value)) > 0

    def total(self, value: float) -> float:
        """The sum of each worker's value over all replicas. All workers must call this at the same step."""
        return float(self._total(tf.constant(value, tf.float64))) if self.several_workers else value * self.replicas

    @_traced
    def _total(self, value: tf.Tensor) -> tf.Tensor:
        return self.strategy.reduce(
            tf.distribute.ReduceOp.SUM, self.strategy.run(tf.identity, args=(value,)), axis=None
        )

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """In the block, the model has the running average of its weights, if `ema` keeps one."""
        if not self.parameters.ema:
            yield
            return
        variables = self.model.trainable_variables
        trained = [tf.identity(variable) for variable in variables]
        self.optimizer.finalize_variable_values(variables)
        yield
        for variable, value in zip(variables, trained, strict=True):
            variable.assign(value)

    def finished_model(self) -> keras.Model:
        """The trained network in float32 for one device."""
        with self.averaged():
            if self.replicas == 1 and self.parameters.precision == "float32" and not self.parameters.ema:
                return self.model
            plain = self._build()
            plain.set_weights(self.model.get_weights())
        return plain

    def samples(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """A replica's batch with `image` float32; samples are made from regions here if it has those."""
        if "pixels" in batch:
            inputs = self.parameters.inputs()
            return render.render_batch(batch, inputs.size, self.skeleton, inputs.targets)
        return {**batch, "image": tf.cast(batch["image"], tf.float32)}

    def local(self, value: Any) -> tuple[tf.Tensor, ...]:
        """The value on each replica of this process."""
        return self.strategy.experimental_local_results(value)

    def _check(self, xla: bool) -> None:
        parameters = self.parameters
        if parameters.batch_size % (self.replicas * parameters.accumulate):
            parts = f" in {parameters.accumulate} parts each" if parameters.accumulate > 1 else ""
            raise InputError(
                f"batch_size {parameters.batch_size} does not divide among {self.replicas} replicas{parts}"
            )
        if xla and self.replicas > 1:
            raise InputError(f"xla compiles for one device, but there are {self.replicas}; leave it out")

    def _build(self) -> keras.Model:
        wanted = self.parameters
        return networks.build(wanted.model, self.skeleton, wanted.width, wanted.stages or None)

    def _train_replica(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        values, gradients = self._accumulated(self.samples(batch))
        gradients = optimizer.summed(gradients)
        norm, scale = tf.linalg.global_norm(gradients), self._loss_scale()
        if self.parameters.clip_norm:
            gradients = optimizer.clip(gradients, norm, self.parameters.clip_norm * scale)
        self.optimizer.apply(gradients, self.model.trainable_variables)
        return values | {"gradient_norm": norm / scale / self.replicas}

    def _accumulated(self, batch: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
        """Losses and gradients of a replica's batch, summed over its `accumulate` parts."""
        parts = {name: tf.split(batch[name], self.parameters.accumulate) for name in ("image", "maps", "mask")}
        values, gradients = self._backward(*(tensors[0] for tensors in parts.values()))
        for image, maps, mask in list(zip(*parts.values(), strict=True))[1:]:
            with tf.control_dependencies(gradients):  # one after the other, which saves the memory
                image = tf.identity(image)
            more_values, more_gradients = self._backward(image, maps, mask)
            values = {name: values[name] + more_values[name] for name in values}
            gradients = [a + b for a, b in zip(gradients, more_gradients, strict=True)]
        return values, gradients

    def _losses_and_gradients(
        self, image: tf.Tensor, maps: tf.Tensor, mask: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            outputs = networks.stage_outputs(self.model, image, training=True)
            truth = maps, mask, self.parameters.batch_size, self.skeleton
            values = loss.losses(outputs, *truth)
            minimised, weight = values["loss"], networks.get(self.parameters.model).heatmap_weight
            if weight != 1:
                minimised += (weight - 1) * loss.heatmap_loss(outputs, *truth)
            scaled = self.optimizer.scale_loss(minimised)
        return values, tape.gradient(scaled, self.model.trainable_variables)

    def _loss_scale(self) -> tf.Tensor | float:
        scaled = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        return tf.convert_to_tensor(self.optimizer.dynamic_scale) if scaled else 1.0

    def _valid_replica(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        batch = self.samples(batch)
        outputs = networks.stage_outputs(self.model, batch["image"], training=False)
        return loss.losses(outputs, batch["maps"], batch["mask"], 1, self.skeleton)

    def _sum(self, per_replica: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        return {
            name: self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in per_replica.items()
        }


@contextmanager
def _precision(name: str) -> Iterator[None]:
    """Layers made in the block compute in this precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(_POLICIES[name])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
