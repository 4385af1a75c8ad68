"""Networks that other engines are given: checkpoints with random weights, exported and quantized by driftlet.

Needs Python 3.11 with numpy, safetensors and onnxruntime.
"""

import json
import subprocess
import sys
from pathlib import Path

try:
    import numpy as np
    import onnxruntime
    from safetensors.numpy import load_file, save_file
except ImportError as e:
    sys.exit(f"{e}: pip install onnxruntime onnx numpy safetensors, or call this with another Python")

# The convolutional network of half a million weights and 20 million multiply-accumulates that no preset is.
EDGE = {
    "type": "edge-conv",
    "height": 28,
    "width": 28,
    "channels": 1,
    "classes": 10,
    "noise_dim": 64,
    "hidden": 128,
    "base_channels": 64,
    "stages": [
        {"channels": 64, "residual": 0},
        {"channels": 48, "residual": 1},
        {"channels": 24, "residual": 0},
    ],
    "guidance_knots": [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0],
}


def run(binary, *arguments):
    """Calls driftlet; its message ends the script where it fails."""
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"driftlet {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout


def checkpoint(binary, name, work):
    """A checkpoint of a preset, of `edge`, or of a published artifact's directory; every weight is random."""
    path = work / Path(name).name
    if path.exists():
        return path
    if Path(name).is_dir():
        run(binary, "import", name, "--out", path)
        return path
    run(binary, "init", "--preset", "nano" if name == "edge" else name, "--seed", 1, "--out", path)
    weights = load_file(path / "weights.safetensors")
    if name == "edge":
        config = json.loads((path / "config.json").read_text())
        config["architecture"] = EDGE
        (path / "config.json").write_text(json.dumps(config))
        weights = {key: np.empty(shape, np.float32) for key, shape in edge_shapes().items()}
    rng = np.random.default_rng(1)
    for key, weight in weights.items():
        # What starts at zero would hide what it is multiplied by.
        if name == "edge" or not weight.any():
            deviation = np.sqrt(2 / np.prod(weight.shape[1:])) if weight.ndim > 1 else 0.05
            scale = 0.2 if "modulation" in key else 1
            weights[key] = (rng.standard_normal(weight.shape) * deviation * scale).astype(np.float32)
    save_file(weights, path / "weights.safetensors")
    return path


def edge_shapes():
    """The weights of `edge` by name."""
    hidden, base = EDGE["hidden"], EDGE["base_channels"]
    shapes = {
        "noise.weight": (hidden, EDGE["noise_dim"]),
        "noise.bias": (hidden,),
        "class.weight": (EDGE["classes"], hidden),
        "guidance.weight": (len(EDGE["guidance_knots"]), hidden),
        "base.weight": (49 * base, hidden),
        "base.bias": (49 * base,),
    }
    inputs = base

    def conv(name, inputs, outputs):
        shapes[f"{name}.weight"] = (outputs, inputs, 3, 3)
        shapes[f"{name}.bias"] = (outputs,)

    for s, stage in enumerate(EDGE["stages"]):
        conv(f"stages.{s}.conv", inputs, stage["channels"])
        inputs = stage["channels"]
        for r in range(stage["residual"]):
            conv(f"stages.{s}.residual.{r}", inputs, inputs)
    conv("out", inputs, EDGE["channels"])
    return shapes


def exported(binary, path):
    """The checkpoint as an ONNX file."""
    file = path.with_suffix(".onnx")
    if not file.exists():
        run(binary, "export", path, "--onnx", file)
    return file


def quantized(binary, path, precision, *options):
    """The checkpoint as a .drift file."""
    file = path.with_name("-".join([path.name, precision, *options]) + ".drift")
    if not file.exists():
        flags = [x for option in options for x in option.split("=")]
        run(binary, "quantize", path, "--precision", precision, *flags, "--out", file)
    return file


def session(file, threads, optimized=None):
    """ONNX Runtime at its best: all optimizations, threads that spin between operators."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if optimized:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def inputs(of, rng):
    """Random inputs of a session: noise in steps of 1/32, as seeds give it."""
    made = {}
    for value in of.get_inputs():
        match value.name:
            case "class_labels":
                made[value.name] = rng.integers(0, 4, value.shape)
            case "style_indices":
                made[value.name] = rng.integers(0, 4, value.shape)
            case "cfg_scale":
                made[value.name] = (rng.integers(64, 97, value.shape) / 64).astype(np.float32)
            case _:
                noise = np.round(rng.standard_normal(value.shape) * 32).clip(-127, 127) / 32
                made[value.name] = noise.astype(np.float32)
    return made
