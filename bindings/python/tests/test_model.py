"""The installed package against the command line."""

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, SHIPPED, driftlet

import driftlet as package


@pytest.fixture
def nano(files):
    return package.Model.open(files["nano"])


@pytest.mark.parametrize("name", SHIPPED)
def test_ten_pictures_are_those_of_the_command_line(name, files):
    model = package.Model.open(files[name])
    pictures = model.sample(seed=70, count=10, guidance=1.5)
    assert (pictures.shape, pictures.dtype) == ((10, 28, 28, 1), np.uint8)
    lines = driftlet("sample", files[name], "--seed", 70, "--count", 10, "--guidance", 1.5, "--hash").splitlines()
    expected = [line.split()[0] for line in lines[:10]]
    assert [hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures] == expected
    assert model.sha256 == hashlib.sha256(files[name].read_bytes()).hexdigest()


def test_classes_and_seeds_in_every_form(nano):
    by_name = nano.sample(["bag", "sneaker"], seed=[5, 9])
    assert np.array_equal(by_name, nano.sample(np.array([8, 7]), seed=np.array([5, 9])))
    assert np.array_equal(by_name[0], nano.sample(8, seed=5)[0])
    assert np.array_equal(nano.sample("bag", seed=5, count=3)[2], nano.sample("bag", seed=7)[0])
    assert np.array_equal(nano.sample(count=300, threads=1), nano.sample(count=300, threads=3))
    assert nano.sample([]).shape == (0, 28, 28, 1)
    # Seeds wrap around like those of the command line.
    assert np.array_equal(nano.sample(0, seed=2**64 - 1, count=2)[1], nano.sample(0, seed=0)[0])


def test_the_array_owns_its_memory(nano):
    picture = nano.sample(3)
    del nano
    picture[:] = 1
    assert picture.flags.writeable and picture.flags.c_contiguous and picture.sum() == 784


def test_the_ends_of_a_way_are_the_pictures_of_the_seeds(nano):
    way = nano.interpolate(1, 2, 9, label="dress")
    assert np.array_equal(way[0], nano.sample("dress", seed=1)[0])
    assert np.array_equal(way[-1], nano.sample("dress", seed=2)[0])
    assert len({picture.tobytes() for picture in way}) == 9


def test_what_a_model_says_of_itself(nano, files):
    assert (nano.name, nano.precision, nano.image_shape) == ("fashion-nano", "int8", (28, 28, 1))
    assert (nano.class_names[9], nano.guidance_range) == ("ankle boot", (1.0, 4.0))
    assert nano.file_bytes == files["nano"].stat().st_size and nano.arena_bytes > 0
    assert "fashion-nano" in repr(nano) and nano.kernels


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"classes": "boat"}, "no class 'boat'; there are: t-shirt"),
        ({"classes": 10}, "0 to 9"),
        ({"classes": [0, -1]}, "0 to 9"),
        ({"seed": -1}, "64 bits"),
        ({"seed": [2**64]}, "64 bits"),
        ({"guidance": 9}, "1 to 4"),
        ({"guidance": float("nan")}, "1 to 4"),
        ({"count": -1}, "negative"),
        ({"classes": [1, 2], "count": 3}, "different numbers of pictures"),
        ({"threads": -1}, "threads"),
    ],
)
def test_requests_that_cannot_be_met_say_why(nano, arguments, text):
    with pytest.raises(ValueError, match=text):
        nano.sample(**arguments)


def test_files_that_are_none(tmp_path, files):
    with pytest.raises(FileNotFoundError):
        package.Model.open(tmp_path / "absent.drift")
    damaged = tmp_path / "damaged.drift"
    content = bytearray(files["nano"].read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged.drift: the weights are damaged"):
        package.Model.open(damaged)
    with pytest.raises(ValueError, match="driftlet"):
        package.Model(b"not a model")


def test_other_threads_run_meanwhile(nano):
    """A thread counts while pictures are made; with the lock held it could not."""
    done, counted = threading.Event(), 0

    def make():
        nano.sample(count=2000, threads=1)
        done.set()

    maker = threading.Thread(target=make)
    maker.start()
    while not done.is_set():
        counted += 1
    maker.join()
    assert counted > 1000


def test_figures_of_a_comparison(files, tmp_path):
    program = os.environ.get("DRIFTLET", ROOT / "target/release/driftlet")
    figures = package.compare(files["nano"], files["nano"], samples=128, program=program)
    assert figures["samples"] == 128 and figures["floor"] > 0
    candidate = figures["candidates"][0]
    assert candidate["delta"] == 0 and candidate["delta_low"] <= 0 <= candidate["delta_high"]
    with pytest.raises(RuntimeError, match="absent.drift"):
        package.compare(files["nano"], tmp_path / "absent.drift", program=program)
    with pytest.raises(RuntimeError, match="no program"):
        package.compare(files["nano"], files["nano"], program=tmp_path / "absent")


def test_the_example_draws(files, tmp_path):
    example = ROOT / "bindings/python/examples/grid.py"
    environment = {**os.environ, "MPLBACKEND": "agg"}
    subprocess.run([sys.executable, example, files["nano"], tmp_path / "grid.png"], check=True, env=environment)
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")
