"""Where a model's weights come from."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

from bdd100k_models.errors import CheckpointError, MissingFileError
from bdd100k_models.paths import resource_root


def find_weights(given: str | None, config: Config) -> Path:
    """Return the checkpoint of a run: what was given, or the config's ``load_from``.

    URLs are fetched from the mirrors or the zoo into the cache, checked against their MD5.

    Args:
        given: ``--checkpoint``: a file or URL, or None.
        config: The model's config; a relative ``load_from`` is looked for in the current folder, then beside the
            task folders.

    Raises:
        MissingFileError: There is no such file.
        CheckpointError: Neither names any weights.
        DownloadError: No mirror could deliver them.
    """
    source = given or config.get("load_from")
    if not source:
        raise CheckpointError(f"{config.filename}: names no weights (load_from); give them with --checkpoint FILE")
    if str(source).startswith(("http://", "https://")):
        from bdd100k_models.zoo.download import weights_file

        return weights_file(source)
    path = Path(source)
    if not path.is_file() and given is None and (resource_root() / path).is_file():
        path = resource_root() / path
    if not path.is_file():
        raise MissingFileError(f"{source}: no such checkpoint; check the path given with --checkpoint")
    return path
