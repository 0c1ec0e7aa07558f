"""What models and transforms need to know of a person's joints, in mmpose's terms."""

from __future__ import annotations

from typing import Any

from bdd100k_models.evaluation.config import POSE_SIGMAS
from bdd100k_models.tasks import JOINTS, LIMBS, PALETTE

#: Weight of each joint in a loss that weighs them; the published models weigh them equally.
JOINT_WEIGHTS = (0.2, 0.5, 0.2, 1.3, 0.2, 0.2, 0.2, 1.5, 1.5, 0.2, 0.2, 1.3, 0.2, 0.5, 0.2, 0.2, 0.2, 0.2)

_LOWER = ("hip", "knee", "ankle", "foot")


def mirrored(joint: str) -> str:
    """Return the name of a joint on the other side of the body; of one in the middle its own."""
    side, _, part = joint.partition("_")
    return {"left": f"right_{part}", "right": f"left_{part}"}.get(side, joint)


#: By joint, the index of the joint that it becomes in a mirror.
FLIP_INDICES = tuple(JOINTS.index(mirrored(joint)) for joint in JOINTS)


def pose_metainfo() -> dict[str, Any]:
    """Return the joints as mmpose's ``parse_pose_metainfo`` takes them."""
    return {
        "dataset_name": "bdd100k",
        "keypoint_info": {
            index: {
                "name": joint,
                "id": index,
                "color": list(PALETTE["pedestrian"]),
                "type": "lower" if joint.endswith(_LOWER) else "upper",
                "swap": mirrored(joint) if mirrored(joint) != joint else "",
            }
            for index, joint in enumerate(JOINTS)
        },
        "skeleton_info": {
            index: {"link": (JOINTS[start], JOINTS[end]), "id": index, "color": list(PALETTE["pedestrian"])}
            for index, (start, end, _) in enumerate(LIMBS)
        },
        "joint_weights": list(JOINT_WEIGHTS),
        "sigmas": list(POSE_SIGMAS),
    }
