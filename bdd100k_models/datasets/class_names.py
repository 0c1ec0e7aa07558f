"""Names of classes on their way from a data set to its pipeline."""

from __future__ import annotations

from typing import Any

from mmengine.dataset import BaseDataset


class ClassNamingDataset(BaseDataset):  # type: ignore[misc]
    """A data set whose pipeline reads labels by the names of its classes."""

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return a record with ``class_names``, those of ``metainfo``."""
        info: dict[str, Any] = super().get_data_info(idx)
        return info | {"class_names": tuple(self._metainfo["classes"])}
