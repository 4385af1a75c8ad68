"""One-step image generators: one file, one call, the same pixels everywhere.

    import driftlet
    model = driftlet.Model.open("nano.drift")
    pictures = model.sample("sneaker", seed=7, count=16, guidance=1.5)   # uint8 [16, height, width, channels]

The pictures of an int8 model are the same bytes on every machine: file, seed, class and guidance name them.
"""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Iterable, Sequence
from typing import SupportsIndex

import numpy as np
import numpy.typing as npt

from ._compare import compare
from ._driftlet import Generator

__all__ = ["Model", "compare"]
__version__ = "0.1.0"

_SEEDS = 1 << 64


class Model:
    """A generator, from a ``.drift`` file."""

    def __init__(self, file: bytes) -> None:
        """Proves the bytes of a file. Raises ValueError that says what is wrong with them."""
        self._generator = Generator(file)
        try:
            notes = json.loads(self._generator.metadata)
        except ValueError:
            notes = {}
        names = notes.get("class_names", []) if isinstance(notes, dict) else []
        self._name = str(notes.get("name", "")) if isinstance(notes, dict) else ""
        self._class_names = [str(names[i]) if i < len(names) else str(i) for i in range(self._generator.classes)]

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Model:
        """Reads a file. Raises OSError if that fails, ValueError if it is not a generator."""
        with open(path, "rb") as file:
            content = file.read()
        try:
            return cls(content)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from None

    def sample(
        self,
        classes: int | str | Iterable[int | str] | None = None,
        *,
        seed: int | Iterable[int] = 0,
        guidance: float | None = None,
        count: int | None = None,
        threads: int = 0,
    ) -> npt.NDArray[np.uint8]:
        """Makes pictures: uint8 ``[count, height, width, channels]``.

        classes: a class by number or name for all, one for each picture, or None to go through all in turn.
        seed: of the first picture, the others count on; or one for each picture.
        guidance: within ``guidance_range``, the least if left out.
        count: how many; the number of classes or seeds given, else 1.
        threads: 0 for as many as there are processors.

        Other Python threads run meanwhile.
        """
        # A class or a seed for all of them, or one for each.
        fixed: int | None = None
        first = 0
        given_classes: list[int] | None = None
        given_seeds: list[int] | None = None
        if isinstance(classes, (str, int, np.integer)):
            fixed = self._class_index(classes)
        elif classes is not None:
            given_classes = [self._class_index(label) for label in classes]
        if isinstance(seed, (int, np.integer)):
            first = _seed(seed)
        else:
            given_seeds = [_seed(value) for value in seed]
        lengths = {len(given) for given in (given_classes, given_seeds) if given is not None}
        if count is not None:
            lengths.add(operator.index(count))
        if len(lengths) > 1:
            raise ValueError(f"classes, seeds and count ask for different numbers of pictures: {sorted(lengths)}")
        number = lengths.pop() if lengths else 1
        if number < 0:
            raise ValueError(f"count {number} is negative")
        if given_classes is None:
            whole = max(self._generator.classes, 1)
            given_classes = [i % whole if fixed is None else fixed for i in range(number)]
        if given_seeds is None:
            given_seeds = [(first + i) % _SEEDS for i in range(number)]
        pictures = [(s, c, self._guidance(guidance), None) for s, c in zip(given_seeds, given_classes)]
        return self._generator.generate(pictures, _threads(threads))

    def interpolate(
        self,
        start: int,
        end: int,
        steps: int,
        *,
        label: int | str = 0,
        guidance: float | None = None,
        threads: int = 0,
    ) -> npt.NDArray[np.uint8]:
        """Makes ``steps`` pictures on the way from one seed to another, both ends among them."""
        steps = operator.index(steps)
        if steps < 2:
            raise ValueError(f"{steps} steps do not hold both ends")
        number, strength = self._class_index(label), self._guidance(guidance)
        pictures = [(_seed(start), number, strength, (_seed(end), i / (steps - 1))) for i in range(steps)]
        return self._generator.generate(pictures, _threads(threads))

    @property
    def name(self) -> str:
        """The name that its maker gave it."""
        return self._name

    @property
    def class_names(self) -> Sequence[str]:
        """Names of its classes; empty if it takes none."""
        return tuple(self._class_names)

    @property
    def guidance_range(self) -> tuple[float, float]:
        """Weakest and strongest guidance."""
        return self._generator.guidance_range

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a picture."""
        return self._generator.image_shape

    @property
    def precision(self) -> str:
        """Its numbers: f32, f16 or int8."""
        return self._generator.precision

    @property
    def file_bytes(self) -> int:
        """Length of the file."""
        return self._generator.file_bytes

    @property
    def arena_bytes(self) -> int:
        """Bytes of working memory of a thread."""
        return self._generator.arena_bytes

    @property
    def kernels(self) -> str:
        """What computes: "avx512-vnni", say."""
        return self._generator.kernels

    @property
    def sha256(self) -> str:
        """SHA-256 of the file."""
        return self._generator.sha256

    def __repr__(self) -> str:
        height, width, channels = self.image_shape
        return f"<driftlet.Model {self.name!r}, {self.precision}, {height} x {width} x {channels}, {self.file_bytes} bytes>"

    def _guidance(self, guidance: float | None) -> float:
        return self.guidance_range[0] if guidance is None else float(guidance)

    def _class_index(self, label: SupportsIndex | str) -> int:
        if isinstance(label, str):
            if label not in self._class_names:
                raise ValueError(f"no class {label!r}; there are: {', '.join(self._class_names) or 'none'}")
            return self._class_names.index(label)
        number = operator.index(label)
        if not 0 <= number < max(self._generator.classes, 1):
            raise ValueError(f"no class {number}; there are 0 to {max(self._generator.classes, 1) - 1}")
        return number


def _seed(value: SupportsIndex) -> int:
    number = operator.index(value)
    if not 0 <= number < _SEEDS:
        raise ValueError(f"seed {number} is no whole number of 64 bits")
    return number


def _threads(value: int) -> int:
    number = operator.index(value)
    if number < 0:
        raise ValueError(f"{number} threads")
    return number
