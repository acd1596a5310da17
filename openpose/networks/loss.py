"""The loss of OpenPose: half the masked squared error, summed over cells, maps, branches and stages."""

import tensorflow as tf

from openpose.skeleton import Skeleton

NAMES = ("loss", "loss_lastlayer", "loss_lastlayer_paf", "loss_lastlayer_heat")


def losses(
    outputs: list[tf.Tensor],
    maps: tf.Tensor,
    mask: tf.Tensor,
    global_batch: tf.Tensor | int,
    skeleton: Skeleton,
) -> dict[str, tf.Tensor]:
    """The four losses of a batch, or of a replica's share of it.

    Args:
        outputs: prediction of every stage, [B, h, w, maps], heatmap first, then vectmap.
        maps: the truth, of the same shape. The losses are computed in its precision, usually float32.
        mask: float32 [B, h, w, 1]; 1 where the loss counts.
        global_batch: number of samples over all replicas. Division by it lets the replicas' losses and gradients be
            summed.
        skeleton: decides where the vectmap begins.

    Returns:
        ½ Σ (prediction - truth)² mask / global batch under the names `NAMES`: over all stages, over the last stage,
        over its vectmap, over its heatmap.
    """
    per_stage = _of_stages(outputs, maps, mask, global_batch, skeleton)
    heat, paf = per_stage[-1]
    total = tf.add_n([branch for stage in per_stage for branch in stage])
    return dict(zip(NAMES, (total, heat + paf, paf, heat), strict=True))


def heatmap_loss(
    outputs: list[tf.Tensor], maps: tf.Tensor, mask: tf.Tensor, global_batch: tf.Tensor | int, skeleton: Skeleton
) -> tf.Tensor:
    """The heatmap's part of `loss`, over all stages; the arguments are those of `losses`."""
    return tf.add_n([heat for heat, _ in _of_stages(outputs, maps, mask, global_batch, skeleton)])


def _of_stages(
    outputs: list[tf.Tensor], maps: tf.Tensor, mask: tf.Tensor, global_batch: tf.Tensor | int, skeleton: Skeleton
) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """The losses of heatmap and vectmap of each stage."""
    heatmaps = skeleton.num_heatmaps
    per_stage = []
    for output in outputs:
        errors = tf.square((tf.cast(output, maps.dtype) - maps) * mask)
        per_map = tf.reduce_sum(errors, [0, 1, 2]) / (2 * tf.cast(global_batch, maps.dtype))
        per_stage.append((tf.reduce_sum(per_map[:heatmaps]), tf.reduce_sum(per_map[heatmaps:])))
    return per_stage
