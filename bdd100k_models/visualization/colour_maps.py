"""Labels and predictions as colours alone, as the official ``to_color`` paints them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import InputError
from bdd100k_models.inference.results import ClassMap, Instances, MaskTracks, Panoptic, Result
from bdd100k_models.tasks import NO_CLASS, colour_of
from bdd100k_models.visualization.drawing import Pixels
from bdd100k_models.visualization.tracks import track_colour


def colour_map(result: Result, threshold: float = 0.0) -> Pixels:
    """Paint each pixel in the colour of what it is; black where it is nothing.

    Classes and stuff have the official colours. Objects have a colour each, which the official tool draws by lot; here
    the same id always has the same, so that tracks keep theirs.

    Args:
        result: Of a task with masks.
        threshold: Least score of predicted objects that are painted.

    Returns:
        uint8 (height, width, 3), blue-green-red.

    Raises:
        InputError: The result has no masks.
    """
    match result:
        case ClassMap():
            colours = np.zeros((NO_CLASS + 1, 3), np.uint8)
            colours[: len(result.categories)] = [colour_of(name) for name in result.categories]
            return _painted(colours, result.classes)
        case Panoptic():
            things = result.things.tolist()
            names = result.names
            rows = [
                track_colour(number) if is_thing else colour_of(name)
                for number, (name, is_thing) in enumerate(zip(names, things, strict=True))
            ]
            return _painted(np.array([(0, 0, 0), *rows], np.uint8), result.segments)
        case Instances():
            ids = result.ids.tolist() if isinstance(result, MaskTracks) else range(len(result))
            least = 0.0 if result.labelled else threshold
            surely = zip(ids, result.scores.tolist(), strict=True)
            rows = [track_colour(number) if score >= least else (0, 0, 0) for number, score in surely]
            return _painted(np.array([(0, 0, 0), *rows], np.uint8), result.segments)
    raise InputError(f"{result.name}: a {type(result).__name__} has no masks to paint; leave out --color-map")


def _painted(colours: npt.NDArray[np.uint8], places: npt.NDArray[np.integer]) -> Pixels:
    painted: Pixels = colours[:, ::-1][places]
    return painted
