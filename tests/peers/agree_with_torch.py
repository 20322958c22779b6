#!/usr/bin/env python3
"""The single-process loop agrees with PyTorch: losses within 1e-5, 20 steps.

Not part of `make test`: needs PyTorch, which `tools/setup --peers` installs.

    tests/peers/run

runs //tests/peers:reference_run, which trains a small GPT with the plain loop
of tests/parity and writes its initial weights, batches and losses, and then
this file, which trains the same model in PyTorch from the same weights.
"""

import json
import pathlib
import sys

import numpy as np
import torch

import gpt

TOLERANCE = 1e-5


def load_weights(folder, reference, modules):
    values = np.fromfile(folder / reference["weights"], dtype=np.float32)
    parameters = gpt.named_parameters(modules)
    for entry in reference["parameters"]:
        shape = entry["shape"]
        count = int(np.prod(shape))
        value = values[entry["offset"]:entry["offset"] + count].reshape(shape)
        with torch.no_grad():
            parameters[entry["name"]].copy_(torch.from_numpy(value.copy()))


def make_optimizer(reference, modules):
    spec = reference["optimizer"]
    unique = list(dict.fromkeys(gpt.named_parameters(modules).values()))
    groups = gpt.decay_groups(unique, spec["weight_decay"])
    if spec["kind"] == "sgd":
        return torch.optim.SGD(groups, lr=spec["learning_rate"],
                               momentum=spec["momentum"]), unique
    return torch.optim.AdamW(
        groups, lr=spec["learning_rate"], eps=spec["epsilon"],
        betas=(spec["beta1"], spec["beta2"])), unique


def train(folder, reference):
    modules = gpt.gpt_layers(**reference["model"])
    if reference["tied"]:
        gpt.tie(modules)
    load_weights(folder, reference, modules)
    optimizer, parameters = make_optimizer(reference, modules)
    batches = np.fromfile(folder / reference["batches"], dtype=np.int64)
    batches = torch.from_numpy(batches).view(
        reference["steps"], reference["batch_size"], -1)
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        loss = gpt.loss_of(gpt.run_layers(modules, batch[:, :-1]),
                           batch[:, 1:])
        loss.backward()
        clip = reference["optimizer"]["clip_norm"]
        if clip > 0:
            torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
        losses.append(loss.item())
    return losses


def main():
    gpt.set_threads(1)
    worst = 0.0
    for path in sys.argv[1:]:
        folder = pathlib.Path(path)
        reference = json.loads((folder / "reference.json").read_text())
        losses = train(folder, reference)
        difference = max(abs(a - b)
                         for a, b in zip(losses, reference["losses"]))
        worst = max(worst, difference)
        print(f"{folder.name}: {len(losses)} steps, loss {losses[0]:.4f} to "
              f"{losses[-1]:.4f}, largest difference {difference:.1e}")
        if len(losses) != len(reference["losses"]) or len(losses) < 20:
            print("too few steps to compare")
            return 1
    print("agrees" if worst <= TOLERANCE else "DISAGREES",
          f"(tolerance {TOLERANCE:.0e})")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
