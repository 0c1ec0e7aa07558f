"""What an exported graph says of itself: the metadata block, read and written in one place."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bdd100k_models.errors import CheckpointError

#: Key of the whole description, as JSON, in the metadata of ONNX files and among the extra files of TorchScript ones.
KEY = "bdd100k_models"

#: Rises when a reader of an older version could misunderstand a file.
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a graph takes, what it gives, and of what model it was made.

    Attributes:
        name: Name of the model in the zoo.
        task: Name of its task.
        categories: Names by class index; of tags, the values.
        colours: Red, green and blue (0 to 255) of each category; empty for tags.
        image_size: Height and width of the pictures that the graph is for, in pixels.
        input_size: Height and width of what the network sees of them, without padding.
        padded_size: The same with padding on the right and below.
        mean: Subtracted from each channel, in the order of the network's channels.
        std: Divided by, likewise.
        channel_order: ``rgb`` or ``bgr``: the order of the network's channels.
        pre: Whether the graph prepares pictures itself; see :meth:`input_form`.
        post: Whether it decides: boxes after suppression, classes of pixels, probabilities, joints.
        outputs: Names of what it gives, in order.
        batch: How many images it takes at a time; None for any number.
        opset: Version of ONNX's operators; None for TorchScript.
        options: What the task's post-processing needs besides.
        version: Of this description.
    """

    name: str
    task: str
    categories: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    image_size: tuple[int, int]
    input_size: tuple[int, int]
    padded_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channel_order: str
    pre: bool
    post: bool
    outputs: tuple[str, ...]
    batch: int | None
    opset: int | None
    options: Mapping[str, Any] = field(default_factory=dict)
    version: int = VERSION

    def input_form(self) -> str:
        """Return the input in words."""
        batch = "any number" if self.batch is None else str(self.batch)
        if not self.pre:
            height, width = self.padded_size
            order = "red-green-blue" if self.channel_order == "rgb" else "blue-green-red"
            return f"float32 ({batch}, 3, {height}, {width}), {order}, normalised and padded"
        height, width = self.input_size if self.task == "pose" else self.image_size
        kind = "float32" if self.task == "pose" else "uint8"
        return f"{kind} ({batch}, {height}, {width}, 3), red-green-blue, 0 to 255"

    def to_json(self) -> str:
        """Return the description as JSON."""
        return json.dumps(dataclasses.asdict(self))

    def properties(self) -> dict[str, str]:
        """Return what a file's metadata hold: the whole, and its best-known parts one by one for other readers."""
        return {
            KEY: self.to_json(),
            "name": self.name,
            "task": self.task,
            "classes": json.dumps(self.categories),
            "colours": json.dumps(self.colours),
            "mean": json.dumps(self.mean),
            "std": json.dumps(self.std),
            "channel_order": self.channel_order,
            "input_size": json.dumps(self.padded_size),
            "input": self.input_form(),
            "opset": str(self.opset),
        }


def read_description(text: str | None, where: str) -> Description:
    """Read a description.

    Args:
        text: What stands under :data:`KEY`, or None.
        where: Names the file in errors.

    Raises:
        CheckpointError: There is none, it is damaged, or of a later version.
    """
    if not text:
        raise CheckpointError(f"{where}: no export of this zoo; make one with `bdd100k-models export NAME`")
    try:
        values = json.loads(text)
        if values["version"] > VERSION:
            raise CheckpointError(f"{where}: made by a later release of bdd100k-models; update this one")
        listed = {name: _tuples(value) for name, value in values.items() if name != "options"}
        return Description(**listed, options=values["options"])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{where}: its description is damaged ({error}); export the model again") from None


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
