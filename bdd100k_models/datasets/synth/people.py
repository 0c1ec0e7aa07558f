"""The joints of drawn people, as the pose task labels them."""

from __future__ import annotations

import numpy as np

from bdd100k_models.datasets.synth.camera import Points
from bdd100k_models.datasets.synth.figures import Joints, Person
from bdd100k_models.datasets.synth.picture import Picture
from bdd100k_models.formats.scalabel import Edge, Graph, Label, Node
from bdd100k_models.tasks import JOINTS, LIMBS

#: Least height, in pixels of a picture 720 high, of a person whose joints are labelled.
MIN_HEIGHT = 40
_GRAPH = "Pose2D-18Joints"
_HAND = 0.09  # metres from the wrist to the middle of the hand


def _drawn(joint: str) -> str:
    """Return what a joint of the task is called where bodies are drawn; a hand goes on from its wrist."""
    side, _, part = joint.partition("_")
    return f"{side} { {'foot': 'toe', 'hand': 'wrist'}.get(part, part) }" if part else joint


_DRAWN = [_drawn(joint) for joint in JOINTS]
_HANDS = [index for index, joint in enumerate(JOINTS) if joint.endswith("_hand")]
_ELBOWS = [f"{JOINTS[index].partition('_')[0]} elbow" for index in _HANDS]


def pose_labels(picture: Picture) -> list[Label]:
    """Return a label for each person that is tall enough and has a box.

    Each has the 18 joints in order. ``visibility`` is ``V`` where the joint is in the picture and the person, or a part
    of a body in front of it, is what is seen there; ``N`` where something hides it; ``O`` outside the picture.
    """
    labels = []
    height, width = picture.ids.shape
    for label in picture.frame.labels or ():
        number = picture.numbers[str(label.id)]
        part = picture.parts[number]
        box = label.box2d
        assert box is not None
        if not isinstance(part.shape, Person) or box.y2 - box.y1 + 1 < MIN_HEIGHT * height / 720:
            continue
        pixels = picture.scene.camera.see(part.pose, joint_positions(part.shape.joints))
        nodes = []
        for index, (name, (x, y)) in enumerate(zip(JOINTS, pixels.tolist(), strict=True)):
            column, row = int(np.floor(x)), int(np.floor(y))
            inside = 0 <= column < width and 0 <= row < height
            seen = inside and _shows(picture, column, row, number)
            visibility = "V" if seen else "N" if inside else "O"
            location = (round(x, 2), round(y, 2))
            nodes.append(Node(location, name, id=f"{label.id}-{index}", visibility=visibility))
        edges = [Edge(nodes[a].id, nodes[b].id, side) for a, b, side in LIMBS]
        graph = Graph(nodes, edges, _GRAPH)
        labels.append(Label(label.id, category="pedestrian", attributes=label.attributes, box2d=box, graph=graph))
    return labels


def _shows(picture: Picture, column: int, row: int, number: int) -> bool:
    """Tell whether the object is what is seen at a pixel or right beside it; thin hands and feet end at edges."""
    near = picture.ids[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    return bool((near == number).any())


def joint_positions(joints: Joints) -> Points:
    """Return the 18 joints (18, 3: forward, up, right; metres) of a drawn body."""
    points = np.array([joints[drawn] for drawn in _DRAWN])
    ends = points[_HANDS]
    arms = ends - [joints[elbow] for elbow in _ELBOWS]
    points[_HANDS] = ends + arms / np.linalg.norm(arms, axis=1, keepdims=True) * _HAND
    return points
