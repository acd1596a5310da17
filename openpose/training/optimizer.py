"""Keras's optimisers as a training asks for them, with a rate of its own for the backbone, on any number of devices."""

from collections.abc import Iterable, Sequence

import keras
import tensorflow as tf

from openpose.training.parameters import TrainParameters


def make(
    parameters: TrainParameters, rate: keras.optimizers.schedules.LearningRateSchedule, model: keras.Model
) -> keras.optimizers.Optimizer:
    """The optimiser of a model's trainable variables, built; to be called in the strategy's scope.

    It takes gradients that are already summed over all replicas (`summed`).
    """
    averaged = {"use_ema": True, "ema_momentum": parameters.ema} if parameters.ema else {}
    made: RateFactors
    if parameters.optimizer == "sgd":
        made = SGD(
            rate, momentum=parameters.momentum, nesterov=True, weight_decay=parameters.weight_decay or None, **averaged
        )
    else:
        decay = parameters.weight_decay if parameters.optimizer == "adamw" else 0.0
        made = Adam(rate, epsilon=1e-8, weight_decay=decay or None, **averaged)
    variables = model.trainable_variables
    made.factors = [parameters.backbone_rate if in_backbone(variable) else 1.0 for variable in variables]
    if made.weight_decay:
        made.exclude_from_weight_decay(var_list=[variable for variable in variables if not is_kernel(variable)])
    optimizer = keras.optimizers.LossScaleOptimizer(made) if parameters.precision == "float16" else made
    optimizer.build(variables)
    return optimizer


def in_backbone(variable: keras.Variable) -> bool:
    """Whether the variable belongs to the features that ImageNet's weights are for."""
    return variable.path.startswith("backbone")


def is_kernel(variable: keras.Variable) -> bool:
    """Whether it is a convolution's kernel, not a bias and not of a norm."""
    return variable.path.endswith("kernel")


def summed(gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Gradients over all replicas; to be called on each of them."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return list(gradients)
    return context.all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))


def clip(gradients: Sequence[tf.Tensor], norm: tf.Tensor, longest: float) -> list[tf.Tensor]:
    """Gradients shortened to the norm `longest`.

    Args:
        gradients: to be shortened, all by the same factor.
        norm: their global norm.
        longest: that is left alone.
    """
    factor = longest / tf.maximum(norm, longest)
    return [gradient * factor for gradient in gradients]


class RateFactors(keras.optimizers.Optimizer):
    """What Keras's optimisers lack here.

    Attributes:
        factors: on the learning rate, for each variable.
    """

    factors: Sequence[float] = ()

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        factor = self.factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate if factor == 1.0 else learning_rate * factor)

    def _all_reduce_sum_gradients(self, grads_and_vars: Iterable) -> Iterable:
        # Keras would clip each replica's gradients for itself and only then sum them; here they are summed already.
        return grads_and_vars


class Adam(RateFactors, keras.optimizers.Adam):
    """Adam, or with weight decay AdamW."""


class SGD(RateFactors, keras.optimizers.SGD):
    """Gradient descent with momentum."""
