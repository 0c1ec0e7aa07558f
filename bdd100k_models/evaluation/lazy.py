"""Sequences whose items are read when their turn comes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar, overload

Item = TypeVar("Item")


class LazySequence(Sequence[Item]):
    """A sequence that makes each item when it is asked for; a slice is the list of its items."""

    @abstractmethod
    def item(self, index: int) -> Item:
        """Make an item; ``index`` is in range and not negative."""

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        """Make an item or several.

        Raises:
            IndexError: There is no such item.
        """
        places = range(len(self))[index]
        return self.item(places) if isinstance(places, int) else [self.item(place) for place in places]
