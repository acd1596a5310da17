"""Keras's optimizers with a separate rate for the backbone, on any number of devices."""

from collections.abc import Iterable, Sequence

import keras
import tensorflow as tf

from openpose.training.parameters import TrainParameters


def make(
    parameters: TrainParameters, rate: keras.optimizers.schedules.LearningRateSchedule, model: keras.Model
) -> keras.optimizers.Optimizer:
    """Makes and builds the optimizer of a model; call it in the strategy's scope.

    The optimizer takes gradients that are already summed over all replicas (`summed`).
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
    """Whether the variable belongs to the backbone."""
    return variable.path.startswith("backbone")


def is_kernel(variable: keras.Variable) -> bool:
    """Whether the variable is a convolution's kernel, not a bias or part of a norm."""
    return variable.path.endswith("kernel")


def summed(gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Sums gradients over all replicas; call it on each replica."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return list(gradients)
    return context.all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))


def clip(gradients: Sequence[tf.Tensor], norm: tf.Tensor, longest: float) -> list[tf.Tensor]:
    """Scales gradients down, all by the same factor, so that their global norm is at most `longest`.

    Args:
        gradients: of all variables.
        norm: their global norm.
        longest: largest norm.
    """
    factor = longest / tf.maximum(norm, longest)
    return [gradient * factor for gradient in gradients]


class RateFactors(keras.optimizers.Optimizer):
    """Gives each variable a factor on the learning rate, and updates each by one operation.

    Keras's own formulas take a dozen operations for each variable. With them a step of the sample's network takes a
    sixth longer, and its first step, which builds the graph, nearly twice as long.

    Attributes:
        factors: one for each variable.
    """

    factors: Sequence[float] = ()

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        rate = tf.cast(learning_rate, variable.dtype) * self.factors[index]
        self._apply(index, variable, tf.cast(gradient, variable.dtype), rate)

    def _apply(self, index: int, variable: tf.Variable, gradient: tf.Tensor, learning_rate: tf.Tensor) -> None:
        """Moves a variable by its gradient."""
        raise NotImplementedError

    def _all_reduce_sum_gradients(self, grads_and_vars: Iterable) -> Iterable:
        # Keras would clip the gradients of each replica and then sum them; here they are already summed.
        return grads_and_vars


class Adam(RateFactors, keras.optimizers.Adam):
    """Adam; with weight decay AdamW."""

    def _apply(self, index: int, variable: tf.Variable, gradient: tf.Tensor, learning_rate: tf.Tensor) -> None:
        step = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class SGD(RateFactors, keras.optimizers.SGD):
    """Stochastic gradient descent with momentum."""

    def _apply(self, index: int, variable: tf.Variable, gradient: tf.Tensor, learning_rate: tf.Tensor) -> None:
        if not self.momentum:
            variable.assign_sub(gradient * learning_rate)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[index].value.handle,
            lr=learning_rate,
            grad=gradient,
            momentum=self.momentum,
            use_nesterov=self.nesterov,
        )
