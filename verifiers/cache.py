"""A mapping of bounded size for any thread, which forgets what was not used for longest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class BoundedCache(Generic[_Key, _Value]):
    """Holds at most `size` values."""

    def __init__(self, size: int) -> None:
        """Takes the number of values to hold."""
        self._size = size
        self._kept: OrderedDict[_Key, _Value] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Returns how many values are held."""
        return len(self._kept)

    def get(self, key: _Key) -> _Value | None:
        """Returns the value of a key, or None, and takes note of its use."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: _Key, value: _Value) -> None:
        """Holds a value, which must not be None, and forgets the one unused for longest if that is one too many."""
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forgets all."""
        with self._lock:
            self._kept.clear()
