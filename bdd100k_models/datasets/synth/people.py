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
        local = joint_positions(part.shape.joints)
        pixels = picture.scene.camera.project(part.pose.place(local))
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
    points = []
    for name in JOINTS:
        side, _, joint = name.partition("_")
        if joint == "hand":
            elbow, wrist = (np.array(joints[f"{side} {part}"]) for part in ("elbow", "wrist"))
            points.append(wrist + (wrist - elbow) / np.linalg.norm(wrist - elbow) * _HAND)
        elif joint:
            points.append(np.array(joints[f"{side} {'toe' if joint == 'foot' else joint}"]))
        else:
            points.append(np.array(joints[name]))
    return np.stack(points)
