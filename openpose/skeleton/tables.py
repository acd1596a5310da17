"""Tables of published skeletons: keypoints with their OKS sigmas, parts and limbs, in words."""

# The 12 keypoints below the head that COCO and CrowdPose share, with the standard deviations of OKS.
_BODY = {
    "left_shoulder": 0.079,
    "right_shoulder": 0.079,
    "left_elbow": 0.072,
    "right_elbow": 0.072,
    "left_wrist": 0.062,
    "right_wrist": 0.062,
    "left_hip": 0.107,
    "right_hip": 0.107,
    "left_knee": 0.087,
    "right_knee": 0.087,
    "left_ankle": 0.089,
    "right_ankle": 0.089,
}

_BODY_LIMBS = (
    ("left_ankle", "left_knee"),
    ("left_knee", "left_hip"),
    ("right_ankle", "right_knee"),
    ("right_knee", "right_hip"),
    ("left_hip", "right_hip"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
    ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("right_shoulder", "right_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_elbow", "right_wrist"),
)

# The 17 keypoints of COCO, with the standard deviations of its Object Keypoint Similarity.
COCO_KEYPOINTS = {
    "nose": 0.026,
    "left_eye": 0.025,
    "right_eye": 0.025,
    "left_ear": 0.035,
    "right_ear": 0.035,
    **_BODY,
}

COCO_LIMBS = (
    *_BODY_LIMBS,
    ("left_eye", "right_eye"),
    ("nose", "left_eye"),
    ("nose", "right_eye"),
    ("left_eye", "left_ear"),
    ("right_eye", "right_ear"),
    ("left_ear", "left_shoulder"),
    ("right_ear", "right_shoulder"),
)

# OpenPose's 18 parts (Cao et al., arXiv:1611.08050), each with its COCO keypoints.
OPENPOSE_PARTS = {
    "nose": ("nose",),
    "neck": ("left_shoulder", "right_shoulder"),
    "right_shoulder": ("right_shoulder",),
    "right_elbow": ("right_elbow",),
    "right_wrist": ("right_wrist",),
    "left_shoulder": ("left_shoulder",),
    "left_elbow": ("left_elbow",),
    "left_wrist": ("left_wrist",),
    "right_hip": ("right_hip",),
    "right_knee": ("right_knee",),
    "right_ankle": ("right_ankle",),
    "left_hip": ("left_hip",),
    "left_knee": ("left_knee",),
    "left_ankle": ("left_ankle",),
    "right_eye": ("right_eye",),
    "left_eye": ("left_eye",),
    "right_ear": ("right_ear",),
    "left_ear": ("left_ear",),
}

OPENPOSE_LIMBS = (
    ("neck", "right_hip"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
    ("neck", "left_hip"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("neck", "right_shoulder"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("right_shoulder", "right_ear"),
    ("neck", "left_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("left_shoulder", "left_ear"),
    ("neck", "nose"),
    ("nose", "right_eye"),
    ("nose", "left_eye"),
    ("right_eye", "right_ear"),
    ("left_eye", "left_ear"),
)

# CrowdPose's 14 keypoints (Li et al., arXiv:1812.00324), with the standard deviations of its evaluation code.
CROWDPOSE_KEYPOINTS = {
    **_BODY,
    "head": 0.079,
    "neck": 0.079,
}

CROWDPOSE_LIMBS = (
    *_BODY_LIMBS,
    ("head", "neck"),
    ("right_shoulder", "neck"),
    ("left_shoulder", "neck"),
)
