"""People's joints as the graphs of Scalabel JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bdd100k_models.formats.scalabel import Edge, Graph, Label, Node
from bdd100k_models.tasks import JOINTS, LIMBS

#: What the type of a graph begins with whose joints were labelled.
LABELLED = "Pose2D"

#: The visibilities of a labelled joint, and COCO's numbers for them: seen, and hidden.
VISIBILITY: Mapping[str, int] = {"V": 2, "N": 1}

_GRAPH = f"{LABELLED}-18Joints_Pred"


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
