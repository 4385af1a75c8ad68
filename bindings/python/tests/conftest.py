"""Shipped models in int8, made by the command line, whose program the variable DRIFTLET names."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ["nano", "micro", "small"]


def driftlet(*arguments: object) -> str:
    program = os.environ.get("DRIFTLET", ROOT / "target/release/driftlet")
    return subprocess.run([program, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    paths = {name: folder / f"{name}.drift" for name in SHIPPED}
    for name, path in paths.items():
        driftlet("quantize", ROOT / f"models/fashion-{name}", "--precision", "int8", "--out", path)
    return paths
