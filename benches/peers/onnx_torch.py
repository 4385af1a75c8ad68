"""An ONNX file of driftlet's as a PyTorch module: every operator as the function that PyTorch has for it."""

import numpy as np
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper


class Network(torch.nn.Module):
    """Runs the operators in their order; `names` are the inputs, in the order that a call takes them."""

    def __init__(self, model):
        super().__init__()
        graph = model.graph
        self.names = [value.name for value in graph.input]
        self.output = graph.output[0].name
        parameters = lambda node: {a.name: helper.get_attribute_value(a) for a in node.attribute}
        nodes = [(node.op_type, list(node.input), list(node.output), parameters(node)) for node in graph.node]
        self.nodes = fused(nodes)
        # Shapes and axes are numbers of Python, not tensors.
        self.integers, self.numbers = {}, {}
        for tensor in graph.initializer:
            array = numpy_helper.to_array(tensor)
            if array.dtype == np.int64:
                self.integers[tensor.name] = array.tolist()
            else:
                self.numbers[tensor.name] = torch.from_numpy(array.copy())

    def forward(self, *given):
        values = dict(self.numbers) | dict(zip(self.names, given)) | {"": None}
        for op, inputs, outputs, attributes in self.nodes:
            operands = [values[name] if name in values else self.integers[name] for name in inputs]
            results = OPERATORS[op](attributes, *operands)
            values |= zip(outputs, results if op == "Split" else [results])
        return values[self.output]


def fused(nodes):
    """The same operators, where PyTorch has one for several in a row."""
    rest, result = list(nodes), []
    while rest:
        (op, inputs, outputs, attributes), *following = rest
        kinds = [node[0] for node in rest[:3]]
        if kinds[:2] == ["Sigmoid", "Mul"] and following[0][1] == [inputs[0], outputs[0]]:
            result.append(("Silu", inputs, following[0][2], {}))
            rest = rest[2:]
        elif kinds == ["MatMul", "Softmax", "MatMul"]:
            result.append(("Attention", [*inputs, following[1][1][1]], following[1][2], {}))
            rest = rest[3:]
        else:
            result.append(rest[0])
            rest = following
    return result


def as_tensor(x):
    return torch.tensor(x) if isinstance(x, list) else x


def conv(attributes, x, weight, bias):
    return F.conv2d(x, weight, bias, attributes["strides"], attributes["pads"][:2])


def gemm(attributes, x, weight, summand):
    if attributes.get("transB"):
        return F.linear(x, weight, summand)
    return torch.addmm(summand, x, weight)


def attention(_, query, key, value):
    query, key, value = query[None], key.transpose(1, 2)[None], value[None]
    return F.scaled_dot_product_attention(query, key, value, scale=1.0)[0]


def part(_, x, first, last, axis):
    return x.narrow(axis[0], first[0], last[0] - first[0])


OPERATORS = {
    "Abs": lambda _, x: x.abs(),
    "Attention": attention,
    "Add": lambda _, a, b: a + as_tensor(b),
    "Clip": lambda _, x, low, high: x.clamp(low, high),
    "Concat": lambda a, *parts: torch.cat(parts, a["axis"]),
    "Conv": conv,
    "Gather": lambda _, table, rows: F.embedding(rows, table),
    "Gemm": gemm,
    "GlobalAveragePool": lambda _, x: x.mean((2, 3), keepdim=True),
    "InstanceNormalization": lambda a, x, gain, shift: F.instance_norm(x, weight=gain, bias=shift, eps=a["epsilon"]),
    "MatMul": lambda _, a, b: a @ b,
    "Mul": lambda _, a, b: a * b,
    "RMSNormalization": lambda a, x, gain: F.rms_norm(x, x.shape[-1:], gain, a["epsilon"]),
    "ReduceSum": lambda _, x, axes: x.sum(axes),
    "Relu": lambda _, x: x.relu(),
    "Reshape": lambda _, x, shape: x.reshape(shape),
    "Resize": lambda _, x, roi, scales: F.interpolate(x, scale_factor=2, mode="nearest"),
    "Sigmoid": lambda _, x: x.sigmoid(),
    "Silu": lambda _, x: F.silu(x),
    "Slice": part,
    "Softmax": lambda a, x: x.softmax(a["axis"]),
    "Split": lambda a, x: x.chunk(2, a["axis"]),
    "Sub": lambda _, a, b: a - b,
    "Tanh": lambda _, x: x.tanh(),
    "Transpose": lambda a, x: x.permute(a["perm"]),
}
