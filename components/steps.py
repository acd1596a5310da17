"""The list of the DAG's steps, in order."""

#: Step -> its KFP components. The names of a step's status files begin with the step's name.
STEPS = {
    "check": ("check",),
    "coco_download": ("coco_download",),
    "tfrecord_targets": ("tfrecord_targets", "collect_records"),
    "train": ("train",),
    "evaluate": ("evaluate_share", "evaluate"),
    "export": ("export",),
    "register": ("register",),
}
