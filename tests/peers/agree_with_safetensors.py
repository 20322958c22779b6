#!/usr/bin/env python3
"""Files of checkpoints are what the Python package safetensors says they are.

Not part of `make test`: needs PyTorch and safetensors, which
`tools/setup --peers` installs.

    tests/peers/run

runs this with the binary //tests/peers:checkpoint_files, which commits and
exports a small checkpoint and reads files that the package has written.
"""

import json
import pathlib
import subprocess
import sys

import numpy as np
import safetensors
import safetensors.torch
import torch

SHAPES = {"weight": (4, 3), "bias": (5,)}
WEIGHTS = 1
OPTIMIZER = 2


def wanted(layer, kind, parameter):
    """The values of checkpoint/manifest/test_checkpoint.cc."""
    shape = SHAPES[parameter]
    count = int(np.prod(shape)) * 4
    start = layer * 7 + kind * 3
    bytes_ = (start + np.arange(count)).astype(np.uint8)
    return bytes_.view(np.float32).reshape(shape)


def same(tensor, layer, kind, parameter):
    value = wanted(layer, kind, parameter)
    # By bytes: some are no numbers.
    return (tuple(tensor.shape) == value.shape and
            tensor.numpy().tobytes() == value.tobytes())


def check_checkpoint(folder):
    """Every shard of a committed checkpoint, opened by the package."""
    for layer in range(2):
        for kind, ending, suffix in ((WEIGHTS, "w", ""),
                                     (OPTIMIZER, "opt", "/momentum")):
            path = folder / f"l{layer:04}-h{layer}.{ending}.safetensors"
            tensors = safetensors.torch.load_file(path)
            names = {f"h{layer}.{p}{suffix}": p for p in SHAPES}
            assert tensors.keys() == names.keys(), (path, tensors.keys())
            for name, parameter in names.items():
                assert same(tensors[name], layer, kind, parameter), (path, name)


def check_export(folder):
    """The exported folder, read by its index as transformers does."""
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    total = 0
    for name, file in index["weight_map"].items():
        with safetensors.safe_open(folder / file, framework="pt") as opened:
            tensor = opened.get_tensor(name)
        layer, parameter = name.split(".")
        assert same(tensor, int(layer[1:]), WEIGHTS, parameter), name
        total += tensor.numel() * tensor.element_size()
    assert len(index["weight_map"]) == 4, index
    assert total == index["metadata"]["total_size"], (total, index)
    files = sorted(path.name for path in folder.iterdir())
    assert files == sorted(set(index["weight_map"].values()) |
                           {"model.safetensors.index.json"}), files


def check_reading(binary, folder):
    """A file that the package has written, read by us."""
    tensors = {
        "a.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
        "b.half": torch.tensor([1.0, -2.0], dtype=torch.float16),
        "c.brain": torch.tensor([[3.0]], dtype=torch.bfloat16),
        "d.count": torch.tensor(258, dtype=torch.int64),
    }
    path = folder / "package.safetensors"
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
    told = subprocess.run([binary, "read", path], check=True,
                          capture_output=True, text=True).stdout
    types = {torch.float32: "F32", torch.float16: "F16",
             torch.bfloat16: "BF16", torch.int64: "I64"}
    rows = set()
    for name, tensor in tensors.items():
        raw = tensor.reshape(-1).view(torch.uint8)
        sizes = "x".join(str(size) for size in tensor.shape)
        rows.add(f"{name} {types[tensor.dtype]} {sizes} {raw[0]} {raw[-1]}")
    assert set(told.splitlines()) == rows, (told, rows)


def main():
    binary, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    subprocess.run([binary, "write", folder], check=True)
    check_checkpoint(folder / "root" / "job" / "step-000000005.e0001")
    check_export(folder / "export")
    check_reading(binary, folder)
    print(f"agrees with safetensors {safetensors.__version__}")


if __name__ == "__main__":
    main()
