"""The steps of the DAG in their order: the one list of them."""

#: Step -> the KFP components that do it. The names of a step's status files begin with the step's name.
STEPS = {
    "check": ("check",),
    "coco_download": ("coco_download",),
    "tfrecord_targets": ("tfrecord_targets", "collect_records"),
    "train": ("train",),
    "evaluate": ("evaluate",),
    "export": ("export",),
    "register": ("register",),
}
