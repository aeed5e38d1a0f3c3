"""Millions of captions as tokens, in little memory."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np


class TokenRows(Sequence[list[int]]):
    """Captions' tokens one after the other: 4 bytes a word, where lists take 30 to 60.

    lengths: int (captions,), words of each.
    """

    def __init__(self, captions: Iterable[list[int]]) -> None:
        tokens, lengths = array("i"), array("i")
        for caption in captions:
            tokens.extend(caption)
            lengths.append(len(caption))
        self._tokens = np.frombuffer(tokens, np.int32) if tokens else np.empty(0, np.int32)
        self.lengths = np.array(lengths, np.int64)
        self._ends = np.cumsum(self.lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, row: int) -> list[int]: ...
    @overload
    def __getitem__(self, row: slice) -> list[list[int]]: ...
    def __getitem__(self, row: int | slice) -> list[int] | list[list[int]]:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        end = self._ends[row]
        return self._tokens[end - self.lengths[row] : end].tolist()

    def __iter__(self) -> Iterator[list[int]]:
        return map(self.__getitem__, range(len(self)))


class PhotoRows(Sequence[list[list[int]]]):
    """The captions of `TokenRows` photo by photo; counts: int (photos,), captions of each."""

    def __init__(self, captions: TokenRows, counts: np.ndarray) -> None:
        self.captions, self.counts = captions, counts
        self._ends = np.cumsum(counts)

    def __len__(self) -> int:
        return len(self.counts)

    @overload
    def __getitem__(self, photo: int) -> list[list[int]]: ...
    @overload
    def __getitem__(self, photo: slice) -> list[list[list[int]]]: ...
    def __getitem__(self, photo: int | slice) -> list[list[int]] | list[list[list[int]]]:
        if isinstance(photo, slice):
            return [self[each] for each in range(*photo.indices(len(self)))]
        end = int(self._ends[photo])
        return self.captions[end - int(self.counts[photo]) : end]
