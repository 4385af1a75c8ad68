"""Features and logits of pytorch-fid's Inception-v3 with weights that a formula gives: expected.safetensors.

    pip install pytorch-fid torchvision safetensors
    python make.py                     # writes expected.safetensors
    python make.py --weights FILE.pth  # writes the weights instead, as torch.save does

quantize/tests/inception.rs has the same formulas.
"""

import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_fid import inception as fid

PICTURES = [(28, 28, 1), (32, 32, 3), (320, 250, 3)]


def uniform(name, count):
    """Numbers in [0, 1): FNV-1a of the name, then an integer hash of it and the index."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    x = (np.uint64(seed) + np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B9)) & np.uint64(0xFFFFFFFF)
    for shift, factor in [(16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)]:
        x ^= x >> np.uint64(shift)
        x = (x * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    return x.astype(np.float64) / 2.0**32


def weights(name, shape):
    u = uniform(name, int(np.prod(shape)))
    if name.endswith("conv.weight") or name == "fc.weight":
        numbers = (2 * u - 1) * np.sqrt(6.0 / np.prod(shape[1:]))
    elif name.endswith("weight") or name.endswith("running_var"):
        numbers = 0.6 + 0.8 * u
    else:
        numbers = 0.4 * (u - 0.5)
    return torch.from_numpy(numbers.reshape(shape).astype(np.float32))


def picture(shape):
    """Eight-bit: a slope with noise."""
    height, width, channels = shape
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    noise = np.floor(64 * uniform(f"{height}x{width}", height * width * channels)).astype(np.int64).reshape(shape)
    return ((y * 128 // height + x * 64 // width * (c + 1)) % 192 + noise).astype(np.uint8)


def network():
    # The published weights are not fetched: the formula's take their place.
    fid.load_state_dict_from_url = lambda *_, **__: None
    torch.nn.Module.load_state_dict, original = lambda *_, **__: None, torch.nn.Module.load_state_dict
    net = fid.fid_inception_v3()
    torch.nn.Module.load_state_dict = original
    state = {
        name: tensor if name.endswith("num_batches_tracked") else weights(name, tuple(tensor.shape))
        for name, tensor in net.state_dict().items()
    }
    net.load_state_dict(state)
    return net.eval()


def main():
    net = network()
    if "--weights" in sys.argv:
        torch.save(net.state_dict(), sys.argv[sys.argv.index("--weights") + 1])
        return
    fid.fid_inception_v3 = lambda: net
    features = fid.InceptionV3([3])
    found = {}
    for shape in PICTURES:
        pixels = torch.from_numpy(picture(shape)).permute(2, 0, 1)[None].float() / 255
        if shape[2] == 1:
            pixels = pixels.expand(-1, 3, -1, -1)
        with torch.no_grad():
            vector = features.eval()(pixels)[0].flatten()
            found[f"features.{shape[0]}"] = vector.contiguous()
            found[f"logits.{shape[0]}"] = F.linear(vector, net.fc.weight, net.fc.bias).contiguous()
    for name, numbers in found.items():
        print(name, numbers.shape, numbers.mean().item(), numbers.std().item())
    from safetensors.torch import save_file
    save_file(found, pathlib.Path(__file__).parent / "expected.safetensors")


main()
