"""What quantization cost, by the program ``driftlet``, which makes and compares the pictures."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any


def compare(
    reference: str | os.PathLike[str],
    *candidates: str | os.PathLike[str],
    samples: int = 10_000,
    seed: int = 0,
    guidance: float = 1.0,
    recall: bool = False,
    program: str | os.PathLike[str] = os.environ.get("DRIFTLET", "driftlet"),
) -> dict[str, Any]:
    """Compares models with a reference: the figures of ``driftlet compare --json`` as a dict.

    Needs the program ``driftlet`` (``cargo install --path .`` in a clone); ``program`` or the variable DRIFTLET names it where
    it is not on the path. Raises RuntimeError with its message if it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder, "figures.json")
        options = ["--samples", samples, "--seed", seed, "--guidance", guidance, "--json", figures]
        command = [program, "compare", reference, *candidates, *options, *(["--recall"] if recall else [])]
        try:
            done = subprocess.run([os.fspath(c) if isinstance(c, os.PathLike) else str(c) for c in command],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        except FileNotFoundError:
            raise RuntimeError(f"no program {os.fspath(program)!r}: `cargo install --path .` in a clone of Driftlet "
                               "installs it; or name it by `program` or the variable DRIFTLET") from None
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
            raise RuntimeError("\n".join(errors) or done.stderr.strip())
        read: dict[str, Any] = json.loads(figures.read_text())
        return read
