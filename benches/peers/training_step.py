#!/usr/bin/env python3
"""The training step of `driftlet train configs/fashion-micro.toml`, in PyTorch: how many samples per second it does.

Networks, features, loss, batch, clipping, optimizer and average are those of trainer/src; the numbers are read from the
configuration. `--check tests/golden/drift_loss` holds the loss to the reference implementation's instead.
Needs Python 3.11, PyTorch and numpy.
"""

import argparse
import gzip
import json
import math
import os
import re
import sys
import time
import tomllib
from pathlib import Path

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError as e:
    sys.exit(f"{e}: install PyTorch and numpy (docs/training.md), or name another Python in $PYTHON")

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4


def safetensors(path):
    """Every tensor of a file whose tensors are all F32."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, about in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        if about["dtype"] != "F32":
            sys.exit(f"{path}: {name} is {about['dtype']}; only F32 is read here")
        first, end = about["data_offsets"]
        array = np.frombuffer(data[start + first : start + end], "<f4").reshape(about["shape"])
        tensors[name] = torch.from_numpy(array.copy())
    return tensors


def idx(name):
    """A file of Fashion-MNIST, from where driftlet looks for it."""
    places = [os.environ.get("DRIFTLET_DATA"), "/usr/share/datasets/fashion-mnist", "data-cache"]
    places = [Path(place) for place in places if place]
    for path in (place / file for place in places for file in (name, f"{name}.gz")):
        if path.exists():
            data = path.read_bytes()
            data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
            shape = np.frombuffer(data, ">u4", data[3], 4).astype(int)
            return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)
    sys.exit(
        f"{name} is not in {', '.join(map(str, places))}: install Debian's package dataset-fashion-mnist, "
        "or put the files of the data set (.gz or unpacked) into a folder and name it in the variable DRIFTLET_DATA"
    )


# Networks: trainer/src/networks.


def conv(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


class Generator(nn.Module):
    def __init__(self, net):
        super().__init__()
        stages = net["stages"]
        size = [net[side] >> (len(stages) - 1) for side in ("height", "width")]
        self.base_shape = [net["base_channels"], *size]
        self.noise = nn.Linear(net["noise_dim"], net["hidden"])
        self.class_ = nn.Embedding(net["classes"], net["hidden"])
        self.guidance = nn.Embedding(len(net["guidance_knots"]), net["hidden"])
        self.base = nn.Linear(net["hidden"], math.prod(self.base_shape))
        channels = [net["base_channels"]] + [stage["channels"] for stage in stages]
        self.convs = nn.ModuleList(conv(a, b) for a, b in zip(channels, channels[1:]))
        residual = [nn.ModuleList(conv(s["channels"], s["channels"]) for _ in range(s["residual"])) for s in stages]
        self.residual = nn.ModuleList(residual)
        self.out = conv(channels[-1], net["channels"])
        # As checkpoint/src/random.rs: uniform, biases zero.
        for name, weight in self.named_parameters():
            fixed = {"class_.weight": 0.5, "guidance.weight": 0.5}
            deviation = fixed.get(name, math.sqrt(2 / weight[0].numel())) * (0.1 if name == "out.weight" else 1)
            reach = 0 if name.endswith("bias") else deviation * math.sqrt(3)
            nn.init.uniform_(weight, -reach, reach)

    def forward(self, noise, labels, knots):
        h = F.relu(self.noise(noise) + self.class_(labels) + knots @ self.guidance.weight)
        # The base map is [height, width, channels] in memory, as in driftlet.
        channels, height, width = self.base_shape
        x = F.relu(self.base(h)).view(-1, height, width, channels).permute(0, 3, 1, 2)
        x = x.contiguous(memory_format=layout_of(self.out.weight))
        for s, first in enumerate(self.convs):
            if s > 0:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = F.relu(first(x))
            for residual in self.residual[s]:
                x = F.relu(x + residual(x))
        return torch.tanh(self.out(x))


class Encoder(nn.Module):
    def __init__(self, folder):
        super().__init__()
        net = json.loads((folder / "config.json").read_text())["architecture"]
        weights = safetensors(folder / "weights.safetensors")

        def load(name, stride=1):
            weight = weights[f"{name}.weight"]
            layer = conv(weight.shape[1], weight.shape[0], stride)
            layer.load_state_dict({"weight": weight, "bias": weights[f"{name}.bias"]})
            return layer

        self.stem = load("stem", 2)
        self.down = nn.ModuleList(load(f"stages.{s}.down", 2) for s in range(1, len(net["widths"])))
        self.blocks = nn.ModuleList(
            nn.ModuleList(load(f"stages.{s}.blocks.{b}.conv{k}") for b in range(blocks) for k in (1, 2))
            for s, blocks in enumerate(net["blocks"])
        )
        self.requires_grad_(False)

    def forward(self, images):
        x = F.relu(self.stem(images))
        maps = []
        for s, convs in enumerate(self.blocks):
            if s > 0:
                x = F.relu(self.down[s - 1](x))
            for first, second in zip(convs[::2], convs[1::2]):
                x = F.relu(x + second(F.relu(first(x))))
            maps.append(x)
        return maps


def theirs(name):
    """The name here of a tensor of driftlet's checkpoint."""
    name = re.sub(r"^stages\.(\d+)\.conv\b", r"convs.\1", name)
    return re.sub(r"^stages\.(\d+)\.residual\b", r"residual.\1", name).replace("class.", "class_.")


def layout_of(weight):
    last = weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


# Features: trainer/src/tasks/features.rs.


def extract(features, encoder, images):
    """Features [n, locations, dims], one tensor per feature and map."""
    maps = encoder(images)
    locations = lambda x: x.flatten(2).transpose(1, 2)
    whole = lambda x: x.flatten(1).unsqueeze(1)
    deviation = lambda x: ((x - x.mean((2, 3), keepdim=True)).square().mean((2, 3)) + 1e-6).sqrt()
    of_picture = {
        "pixels": lambda: whole(images),
        "pixels2x2": lambda: whole(F.avg_pool2d(images, 2)),
        "pixels4x4": lambda: whole(F.avg_pool2d(images, 4)),
    }
    of_map = {
        "locations": locations,
        "means2x2": lambda x: locations(F.avg_pool2d(x, 2)),
        "means": lambda x: x.mean((2, 3)).unsqueeze(1),
        "deviations": lambda x: deviation(x).unsqueeze(1),
    }
    extracted = []
    for feature in features:
        name, _, index = feature.partition("@")
        if name in of_picture:
            extracted.append(of_picture[name]())
        elif name in of_map:
            extracted += [of_map[name](x) for i, x in enumerate(maps) if index in ("", str(i))]
        else:
            sys.exit(f"the feature {name} is not written in PyTorch here; add it to extract()")
    return extracted


def grouped(features, samples):
    """[groups * samples, locations, dims] to [groups * locations, samples, dims]."""
    _, locations, dims = features.shape
    return features.view(-1, samples, locations, dims).transpose(1, 2).reshape(-1, samples, dims)


# The loss: trainer/src/drift.rs.


@torch.no_grad()
def drift(generated, positives, negatives, weights, temperatures):
    """Each sample's drift in units of the scale, the unit, and the mean squared drift of each temperature."""
    groups, samples, dims = generated.shape
    parts = [generated, positives] if negatives is None else [generated, negatives, positives]
    everything = torch.cat(parts, 1)
    repelling = everything.shape[1] - positives.shape[1]
    every_weight = generated.new_ones(groups, 1, everything.shape[1])
    if negatives is not None:
        every_weight[:, 0, samples:repelling] = weights

    squares = everything.square().sum(2)
    distance = torch.baddbmm(squares.unsqueeze(1), generated, everything.transpose(1, 2), alpha=-2)
    distance = distance.add_(squares[:, :samples].unsqueeze(2)).clamp_min_(0).sqrt_()
    scale = (distance * every_weight).mean() / every_weight.mean()
    unit = (scale / math.sqrt(dims)).clamp_min(1e-3)
    generated, everything = generated / unit, everything / unit
    distance /= scale.clamp_min(1e-3)
    distance[:, range(samples), range(samples)] += 100.0

    field, raw = torch.zeros_like(generated), []
    for temperature in temperatures:
        logits = distance / -temperature
        product = logits.softmax(2).mul_(logits.softmax(1))
        affinity = product.clamp_min_(1e-6).sqrt_().mul_(every_weight)
        away, towards = affinity.split([repelling, positives.shape[1]], 2)
        masses = away.sum(2, keepdim=True), towards.sum(2, keepdim=True)
        away.mul_(-masses[1])
        towards.mul_(masses[0])
        pull = torch.bmm(affinity, everything).sub_(affinity.sum(2, keepdim=True) * generated)
        raw.append(pull.square().mean())
        field += pull / raw[-1].clamp_min(1e-8).sqrt()
    return field, unit, torch.stack(raw)


def drift_loss(generated, positives, negatives, weights, temperatures):
    """The loss of each group, and the mean squared drift of each temperature."""
    field, unit, raw = drift(generated, positives, negatives, weights, temperatures)
    scaled = generated / unit
    return (scaled - (scaled.detach() + field)).square().mean((1, 2)), raw


def check(folder):
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        sys.exit(f"{folder} holds no *.safetensors; tests/golden/drift_loss does")
    good = True
    for path in files:
        golden = safetensors(path)
        generated = golden["gen"].requires_grad_()
        arguments = golden["pos"], golden.get("neg"), golden.get("weight_neg"), golden["temperatures"].tolist()
        loss, raw = drift_loss(generated, *arguments)
        (gradient,) = torch.autograd.grad(loss.sum(), generated)
        expected = torch.cat([golden[f"loss_tau_{t:.2g}"] for t in golden["temperatures"].tolist()])
        pairs = {"loss": (loss, golden["loss"]), "gradient": (gradient, golden["grad_gen_of_sum"]), "drift": (raw, expected)}
        for what, (got, want) in pairs.items():
            deviation = ((got - want).abs().max() / want.abs().max()).item()
            good &= deviation <= TOLERANCE
            print(f"{path.stem} {what}: deviation {deviation:.1e}{'' if deviation <= TOLERANCE else ': TOO LARGE'}")
    sys.exit(0 if good else f"the loss here is not the reference implementation's to {TOLERANCE}")


# The step: trainer/src/tasks/generator.rs and trainer/src/run/mod.rs.


class Rings:
    """The newest real samples of each class and of all: trainer/src/tasks/queues.rs."""

    def __init__(self, settings, labels, rng):
        self.labels, self.rng, self.pushed = labels, rng, 0
        self.order = rng.permutation(len(labels))
        self.sizes = [settings["class_queue"]] * 10 + [settings["global_queue"]]
        self.items = [[] for _ in self.sizes]
        self.counts = [0] * len(self.sizes)

    def push(self, item):
        for ring in (self.labels[item], -1):
            items, size = self.items[ring], self.sizes[ring]
            if len(items) < size:
                items.append(item)
            else:
                items[self.counts[ring] % size] = item
            self.counts[ring] += 1

    def fill(self, total, least):
        while self.pushed < total or min(map(len, self.items)) < least:
            self.push(self.order[self.pushed % len(self.order)])
            self.pushed += 1

    def draw(self, ring, count):
        items = self.items[ring]
        count = min(count, len(items))
        return [items[i] for i in self.rng.choice(len(items), count, replace=False)]


class Training:
    def __init__(self, config, folder, steps):
        # What the configuration leaves out is as in trainer/src/config.rs.
        self.settings = {
            "guidance_power": 3.0,
            "class_queue": 128,
            "global_queue": 1000,
            "pushed": 64,
        } | {"temperatures": [0.02, 0.05, 0.2]} | config["drift"]
        self.optimizer_settings = {
            "learning_rate": 2e-4,
            "beta_1": 0.9,
            "beta_2": 0.95,
            "weight_decay": 0.01,
            "warmup_steps": 100,
            "decay_steps": 0,
            "clip_norm": 2.0,
            "ema": 0.999,
        } | config.get("optimizer", {})
        decays = self.optimizer_settings["ema"]
        # Of several averages one is timed.
        self.optimizer_settings["ema"] = decays[0] if isinstance(decays, list) else decays
        self.net = preset(config["preset"])
        self.encoder = Encoder(folder / self.settings["encoders"][0])
        self.steps, self.seed = steps, config.get("seed", 0)
        pixels, self.labels = idx("train-images-idx3-ubyte"), idx("train-labels-idx1-ubyte")
        pixels = torch.tensor(pixels).unsqueeze(1)
        print(f"computing the features of {len(pixels)} real pictures, once", file=sys.stderr)
        with torch.no_grad():
            parts = [extract(self.settings["features"], self.encoder, p / 127.5 - 1) for p in pixels.split(500)]
        self.cache = [torch.cat(part) for part in zip(*parts)]

    def start(self, layout, weights):
        """From the beginning, with the weights in a memory layout; of a checkpoint, or random ones."""
        torch.manual_seed(self.seed)
        self.rng = np.random.default_rng(self.seed)
        self.rings = Rings(self.settings, self.labels, self.rng)
        self.generator = Generator(self.net)
        if weights is not None:
            tensors = {theirs(name): weight for name, weight in safetensors(weights / "weights.safetensors").items()}
            self.generator.load_state_dict(tensors)
        self.generator.to(memory_format=layout)
        self.encoder.to(memory_format=layout)
        s = self.optimizer_settings
        self.weights = list(self.generator.parameters())
        self.ema = [w.detach().clone() for w in self.weights]
        self.optimizer = torch.optim.AdamW(
            self.weights, betas=(s["beta_1"], s["beta_2"]), eps=1e-8, weight_decay=s["weight_decay"], fused=True
        )
        self.at = 0

    def knots(self, strengths):
        """Strengths as coefficients of the two knots around each."""
        knots = torch.tensor(self.net["guidance_knots"])
        above = torch.searchsorted(knots, strengths, right=True).clamp(1, len(knots) - 1)
        low, high = knots[above - 1], knots[above]
        t = ((strengths - low) / (high - low)).clamp(0, 1)
        coefficients = torch.zeros(len(strengths), len(knots))
        rows = torch.arange(len(strengths))
        coefficients[rows, above - 1], coefficients[rows, above] = 1 - t, t
        return coefficients

    def loss(self):
        s, net = self.settings, self.net
        classes, generated = net["classes"], s["generated"]
        self.rings.fill(self.at * s["pushed"], s["positives"])
        exponent = 1 - s["guidance_power"]
        end = net["guidance_knots"][-1] ** exponent
        strengths = (1 + torch.rand(classes) * (end - 1)) ** (1 / exponent)
        images = self.generator(
            torch.randn(classes * generated, net["noise_dim"]),
            torch.arange(classes).repeat_interleave(generated),
            self.knots(strengths).repeat_interleave(generated, 0),
        )
        positives = torch.tensor([i for c in range(classes) for i in self.rings.draw(c, s["positives"])])
        negatives = torch.tensor([i for _ in range(classes) for i in self.rings.draw(-1, s["negatives"])])
        per_class = len(negatives) // classes
        weights = (strengths - 1) * (generated - 1) / max(per_class, 1)
        total, raw = 0, 0
        for cache, feature in zip(self.cache, extract(s["features"], self.encoder, images)):
            targets = grouped(cache[positives], s["positives"]), None, None
            if per_class > 0:
                rows = weights.repeat_interleave(cache.shape[1]).unsqueeze(1).expand(-1, per_class)
                targets = targets[0], grouped(cache[negatives], per_class), rows
            loss, drifts = drift_loss(grouped(feature, generated), *targets, s["temperatures"])
            total, raw = total + loss.mean(), raw + drifts / len(self.cache)
        return total, raw

    def step(self):
        """One step: samples and figures."""
        self.at += 1
        s = self.optimizer_settings
        loss, raw = self.loss()
        value = loss.item()
        self.optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.weights, s["clip_norm"]).item()
        if not (math.isfinite(value) and math.isfinite(norm)):
            sys.exit(f"step {self.at}: loss {value}, gradient {norm}; nothing was measured")
        share = lambda part, whole: 1 if whole == 0 else min(part / whole, 1)
        rate = s["learning_rate"] * share(self.at, s["warmup_steps"])
        self.optimizer.param_groups[0]["lr"] = rate * share(self.steps - self.at + 1, s["decay_steps"])
        self.optimizer.step()
        decay = min(s["ema"], (1 + self.at) / (10 + self.at))
        torch._foreach_lerp_(self.ema, [w.detach() for w in self.weights], 1 - decay)
        figures = {"loss": value, "gradient_norm": norm, "raw_drift": raw.tolist()}
        return self.settings["generated"] * self.net["classes"], figures

    def window(self, steps):
        """Figures of the last of some steps, with samples per second: a line of driftlet's log."""
        start, samples = time.perf_counter(), 0
        for _ in range(steps):
            done, figures = self.step()
            samples += done
        return figures | {"samples_per_second": samples / (time.perf_counter() - start)}


def preset(name):
    """A generator's architecture, from a shipped checkpoint of the preset."""
    for path in sorted((ROOT / "models").glob("*/config.json")):
        about = json.loads(path.read_text())
        if about.get("training", {}).get("config", {}).get("preset") == name:
            return about["architecture"]
    sys.exit(f"preset {name}: no folder of models/ holds a checkpoint of it, from which its architecture could be read")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", type=Path, metavar="GOLDEN/drift_loss", help="hold the loss to golden vectors and end")
    parser.add_argument("--config", type=Path, default=ROOT / "configs/fashion-micro.toml")
    parser.add_argument("--weights", type=Path, metavar="CHECKPOINT", help="generator of driftlet to start from")
    parser.add_argument("--steps", type=int, default=30, help="steps, the first --every of them to warm up")
    parser.add_argument("--every", type=int, default=5, help="steps that one figure is taken over")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layout", choices=["contiguous", "channels-last", "faster"], default="faster")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.check:
        check(options.check)
    if options.steps < 2 * options.every:
        parser.error("--steps must be at least twice --every: the first figure is dropped")
    config = tomllib.loads(options.config.read_text())
    training = Training(config, options.config.parent, options.steps)
    layouts = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}
    chosen = options.layout
    if chosen == "faster":
        trials = {}
        for name, layout in layouts.items():
            training.start(layout, options.weights)
            training.window(2)
            trials[name] = max(training.window(1)["samples_per_second"] for _ in range(4))
        chosen = max(trials, key=trials.get)
    training.start(layouts[chosen], options.weights)
    lines = [training.window(options.every) for _ in range(options.steps // options.every)]
    report = {
        "samples_per_second": float(np.median([line["samples_per_second"] for line in lines[1:]])),
        "layout": chosen,
        "threads": options.threads,
        "torch": torch.__version__,
        "lines": lines,
    }
    print(json.dumps(report))


main()
