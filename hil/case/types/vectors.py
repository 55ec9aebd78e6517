"""The vectors of a case, and the answers to them that were accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.tensor import Elements


@dataclass(frozen=True)
class Vectors:
    """The vectors of a case; `n` of them.

    windows: [n, samples, channels] (or [n, *tensor shape] for tensor/1), C-contiguous, of the window's dtype.
    Others are None when the file does not have them:
    samples int [n]: samples really sent when not the full window (wrong-length vectors);
    names [n] str; label [n] int, the true class, -1 unknown; reject [n] str, gate reason expected, "" for none;
    sequence int [n]: vectors of one number >= 0 are one stream, in file order; -1 stands alone;
    expected_output [n, *output shape], in the type of the output: outputs from an external source (another board, a
    former release).
    Of a model with several tensors `windows` and `expected_output` are of the first input and of the output that is
    decided on; further: windows of the inputs from the second on; further_expected: of the other outputs, None where
    the file has none. further_samples: as `samples`, of the inputs from the second on.
    Of stages that are the product's own: prepared [n, input elements] in the type of the input, what its front end must
    make of each window; prepared_float [n, input elements], the real values that this stands for, before it was
    rounded; answer int [n], a label index, -1 for the answer of none; score float64 [n], NaN where none is expected.
    """

    windows: NDArray[np.generic]
    samples: NDArray[np.int64] | None = None
    names: tuple[str, ...] | None = None
    label: NDArray[np.int64] | None = None
    reject: tuple[str, ...] | None = None
    sequence: NDArray[np.int64] | None = None
    expected_output: Elements | None = None
    further: tuple[NDArray[np.generic], ...] = ()
    further_expected: tuple[Elements | None, ...] = ()
    further_samples: tuple[NDArray[np.int64] | None, ...] = ()
    prepared: Elements | None = None
    prepared_float: NDArray[np.float32] | None = None
    answer: NDArray[np.int64] | None = None
    score: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.windows)

    def joined(self, rows: NDArray[np.intp]) -> NDArray[np.generic]:
        """[rows, ...] that tells windows apart: the windows, of several inputs the bytes of all."""
        if not self.further:
            return self.windows[rows]
        parts = [np.ascontiguousarray(each[rows]).reshape(len(rows), -1) for each in (self.windows, *self.further)]
        return np.concatenate([part.view(np.uint8) for part in parts], axis=1)

    def payload(self, index: int) -> bytes:
        """The bytes to send for one vector, cut or zero-padded to `samples[index]` samples where the file says so; of
        several inputs one behind the other.
        """
        samples = (self.samples, *(self.further_samples or (None,) * len(self.further)))
        parts = zip((self.windows, *self.further), samples, strict=True)
        return b"".join(_sent(windows[index], None if sent is None else int(sent[index])) for windows, sent in parts)

    def name(self, index: int) -> str:
        return self.names[index] if self.names is not None else f"#{index}"


def _sent(window: NDArray[np.generic], samples: int | None) -> bytes:
    """The bytes of one window, cut or zero-padded to so many samples."""
    data = window.astype(window.dtype.newbyteorder("<"), copy=False).tobytes()
    if samples is None:
        return data
    size = len(data) // window.shape[0] * samples
    return data[:size].ljust(size, b"\0")


def sent_bytes(
    windows: Sequence[tuple[int, int]], samples: Sequence[NDArray[np.int64] | None]
) -> NDArray[np.int64] | None:
    """[n]: the bytes that are sent of each vector, of all inputs together; None where every window is whole.

    windows: of each input, the bytes and the samples of a window; samples: of each, int [n], None where all are whole.
    """
    given = [
        (size // rows, values) for (size, rows), values in zip(windows, samples, strict=True) if values is not None
    ]
    if not given:
        return None
    whole = sum(size for (size, _), values in zip(windows, samples, strict=True) if values is None)
    sent: NDArray[np.int64] = whole + np.sum([size * values for size, values in given], axis=0)
    return sent


@dataclass(frozen=True)
class Expected:
    """The accepted answers of the references, one row a vector (docs/golden-updates.md); `labels`: the case's texts.

    name [n] str; window_sha256 uint8 [n, 32], of the bytes that are sent; label int32 [n], true class, -1 unknown; gate
    uint8 [n] GateReason; digest uint32 [n] of the prepared tensor; output [n, output elements] in the type of the
    output; decisions: winner,
    score, answer int32 [n], reason uint8 [n].
    digests, outputs: of a model with several tensors the same of its further inputs and outputs, by their names.
    """

    name: NDArray[np.str_]
    window_sha256: NDArray[np.uint8]
    label: NDArray[np.int32]
    gate: NDArray[np.uint8]
    digest: NDArray[np.uint32]
    output: Elements
    winner: NDArray[np.int32]
    score: NDArray[np.int32]
    answer: NDArray[np.int32]
    reason: NDArray[np.uint8]
    labels: tuple[str, ...]
    digests: Mapping[str, NDArray[np.uint32]] = field(default_factory=dict)
    outputs: Mapping[str, Elements] = field(default_factory=dict)

    @property
    def tensors(self) -> list[str]:
        """Further ones, as `input 'left'`."""
        return [*(f"input {name!r}" for name in self.digests), *(f"output {name!r}" for name in self.outputs)]

    @property
    def further(self) -> dict[str, NDArray[Any]]:
        """The columns of further tensors, as `digest.NAME` and `output.NAME`."""
        digests = {f"digest.{name}": column for name, column in self.digests.items()}
        return digests | {f"output.{name}": column for name, column in self.outputs.items()}
