#!/usr/bin/env python3
"""Weights that `penstock ckpt export --format gpt2` writes are a GPT-2's.

Not part of `make test`: needs PyTorch and safetensors, which
`tools/setup --peers` installs; the package transformers is used if it is there.

    tests/peers/run

runs this with the binary //tests/peers:checkpoint_files, which exports small
GPTs in both formats. The weights in Penstock's own names make the model of
gpt.py, of which agree_with_torch.py shows that it is Penstock's; the others make
a GPT-2 as `transformers` has it. Their logits are equal within 1e-5. The way
back, too: the state of a GPT-2, imported, is the same bytes.
"""

import json
import pathlib
import subprocess
import sys

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

import gpt

TOLERANCE = 1e-5


class Conv1D(nn.Module):
    """A linear layer with its weight the other way round."""

    def __init__(self, inner, outer):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inner, outer))
        self.bias = nn.Parameter(torch.empty(outer))

    def forward(self, x):
        return x @ self.weight + self.bias


class Attention(nn.Module):

    def __init__(self, hidden, heads):
        super().__init__()
        self.heads = heads
        self.c_attn = Conv1D(hidden, 3 * hidden)
        self.c_proj = Conv1D(hidden, hidden)

    def forward(self, x):
        b, s, h = x.shape
        q, k, v = (part.view(b, s, self.heads, -1).transpose(1, 2)
                   for part in self.c_attn(x).split(h, dim=2))
        scores = q @ k.transpose(-1, -2) / (h // self.heads) ** 0.5
        seen = torch.ones(s, s, dtype=torch.bool).tril()
        scores = scores.masked_fill(~seen, float("-inf"))
        mixed = scores.softmax(-1) @ v
        return self.c_proj(mixed.transpose(1, 2).reshape(b, s, h))


class Mlp(nn.Module):

    def __init__(self, hidden):
        super().__init__()
        self.c_fc = Conv1D(hidden, 4 * hidden)
        self.c_proj = Conv1D(4 * hidden, hidden)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):

    def __init__(self, config):
        super().__init__()
        hidden, epsilon = config["n_embd"], config["layer_norm_epsilon"]
        self.ln_1 = nn.LayerNorm(hidden, eps=epsilon)
        self.attn = Attention(hidden, config["n_head"])
        self.ln_2 = nn.LayerNorm(hidden, eps=epsilon)
        self.mlp = Mlp(hidden)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Gpt2(nn.Module):
    """GPT2LMHeadModel, without what it needs for training."""

    def __init__(self, config):
        super().__init__()
        hidden = config["n_embd"]
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(config["vocab_size"], hidden),
            "wpe": nn.Embedding(config["n_positions"], hidden),
            "h": nn.ModuleList(Block(config)
                               for _ in range(config["n_layer"])),
            "ln_f": nn.LayerNorm(hidden, eps=config["layer_norm_epsilon"]),
        })
        self.lm_head = nn.Linear(hidden, config["vocab_size"], bias=False)
        if config["tie_word_embeddings"]:
            self.lm_head.weight = self.transformer["wte"].weight

    def forward(self, tokens):
        x = (self.transformer["wte"](tokens) +
             self.transformer["wpe"].weight[:tokens.shape[1]])
        for block in self.transformer["h"]:
            x = block(x)
        return self.lm_head(self.transformer["ln_f"](x))


def load_own(folder):
    """All tensors of an export in Penstock's names."""
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    tensors = {}
    for file in set(index["weight_map"].values()):
        tensors.update(safetensors.torch.load_file(folder / file))
    return tensors


def own_logits(folder, config, tokens):
    modules = gpt.gpt_layers(config["n_layer"], config["n_embd"],
                             config["n_head"], config["vocab_size"],
                             config["n_positions"])
    tensors = load_own(folder)
    if config["tie_word_embeddings"]:
        gpt.tie(modules)
        tensors["head.weight"] = tensors["embed.token.weight"]
    parameters = gpt.named_parameters(modules)
    assert parameters.keys() == tensors.keys(), parameters.keys()
    with torch.no_grad():
        for name, value in tensors.items():
            parameters[name].copy_(value)
        return gpt.run_layers(modules, tokens)


def load_gpt2(folder, config):
    model = Gpt2(config)
    state = safetensors.torch.load_file(folder / "model.safetensors")
    missing, unexpected = model.load_state_dict(state, strict=False)
    tied = ["lm_head.weight"] if config["tie_word_embeddings"] else []
    assert missing == tied and not unexpected, (missing, unexpected)
    return model


def difference(kind, folder, tokens):
    """Of the logits; largest."""
    config = json.loads((folder / "gpt2" / "config.json").read_text())
    wanted = own_logits(folder / "own", config, tokens)
    assert wanted.abs().max() > 0.1, "logits too small to tell models apart"
    with torch.no_grad():
        got = load_gpt2(folder / "gpt2", config)(tokens)
        worst = (got - wanted).abs().max().item()
        print(f"{kind}: logits differ by {worst:.1e} at most")
        try:
            import transformers
        except ImportError:
            return worst
        model = transformers.GPT2LMHeadModel.from_pretrained(folder / "gpt2")
        other = (model.eval()(tokens).logits - wanted).abs().max().item()
        print(f"{kind}: by {other:.1e} in transformers "
              f"{transformers.__version__}")
        return max(worst, other)


def check_import(binary, folder, wanted, state):
    (folder / "in").mkdir(parents=True)
    safetensors.torch.save_file(state, folder / "in" / "model.safetensors",
                                metadata={"format": "pt"})
    subprocess.run([binary, "import", folder], check=True)
    got = load_own(folder / "own")
    assert got.keys() == wanted.keys(), got.keys()
    for name, value in wanted.items():
        assert torch.equal(got[name], value), name


def main():
    binary, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    gpt.set_threads(1)
    subprocess.run([binary, "gpt2", folder], check=True)
    tokens = torch.arange(48).view(2, 24) * 7 % 64
    worst = max(difference(kind, folder / kind, tokens)
                for kind in ("tied", "untied"))

    wanted = load_own(folder / "untied" / "own")
    state = safetensors.torch.load_file(
        folder / "untied" / "gpt2" / "model.safetensors")
    check_import(binary, folder / "whole", wanted, state)
    # As the file of the package's own model has them, with its masks.
    bare = {name.removeprefix("transformer."): value
            for name, value in state.items()}
    bare["h.0.attn.bias"] = torch.ones(1, 1, 24, 24)
    check_import(binary, folder / "bare", wanted, bare)
    print("agrees" if worst <= TOLERANCE else "DISAGREES",
          f"(tolerance {TOLERANCE:.0e})")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
