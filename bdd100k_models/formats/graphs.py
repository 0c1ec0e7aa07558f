"""People's joints as the graphs of Scalabel JSON."""

from __future__ import annotations

from collections.abc import Sequence

from bdd100k_models.formats.scalabel import Edge, Graph, Label, Node
from bdd100k_models.tasks import JOINTS, LIMBS

_GRAPH = "Pose2D-18Joints_Pred"


def person_label(joints: Sequence[tuple[float, float, float]], score: float | None, number: int) -> Label:
    """Return a person as a label.

    Args:
        joints: x and y in pixels and confidence of each joint, in the task's order.
        score: Confidence of the person.
        number: The label's id; a joint's is this, a hyphen, and its place among the joints.
    """
    ids = [f"{number}-{index}" for index in range(len(JOINTS))]
    nodes = [
        Node(location=(x, y), category=joint, id=node, score=confidence)
        for joint, node, (x, y, confidence) in zip(JOINTS, ids, joints, strict=True)
    ]
    edges = [Edge(source=ids[start], target=ids[end], type=part) for start, end, part in LIMBS]
    return Label(id=str(number), score=score, category="pedestrian", graph=Graph(nodes, edges, _GRAPH))
