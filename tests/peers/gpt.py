"""Penstock's GPT (models/graph, kinds token_embedding to cross_entropy) written
again in plain PyTorch, with the same parameter names and shapes."""

import torch
import torch.nn.functional as F
from torch import nn


class Embedding(nn.Module):

    def __init__(self, vocabulary, positions, hidden):
        super().__init__()
        self.token = nn.Embedding(vocabulary, hidden)
        self.position = nn.Embedding(positions, hidden)

    def forward(self, tokens):
        return self.token(tokens) + self.position.weight[:tokens.shape[1]]


class Attention(nn.Module):

    def __init__(self, hidden, heads):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(hidden)
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.projection = nn.Linear(hidden, hidden)

    def forward(self, x):
        b, s, h = x.shape
        q, k, v = (self.qkv(self.norm(x)).view(b, s, 3, self.heads, -1)
                   .permute(2, 0, 3, 1, 4).unbind(0))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return x + self.projection(mixed.transpose(1, 2).reshape(b, s, h))


class Mlp(nn.Module):

    def __init__(self, hidden):
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.up = nn.Linear(hidden, 4 * hidden)
        self.down = nn.Linear(4 * hidden, hidden)

    def forward(self, x):
        inner = F.gelu(self.up(self.norm(x)), approximate="tanh")
        return x + self.down(inner)


def gpt_layers(layers, hidden, heads, vocabulary, positions):
    """(name, module) in Penstock's layer order, without the loss."""
    modules = [("embed", Embedding(vocabulary, positions, hidden))]
    for i in range(layers):
        modules.append((f"h{i}.attn", Attention(hidden, heads)))
        modules.append((f"h{i}.mlp", Mlp(hidden)))
    modules.append(("final_norm", nn.LayerNorm(hidden)))
    modules.append(("head", nn.Linear(hidden, vocabulary, bias=False)))
    return modules


def loss_of(logits, labels):
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten())


def named_parameters(modules):
    return {f"{name}.{parameter}": value
            for name, module in modules
            for parameter, value in module.named_parameters()}


def tie(modules):
    by_name = dict(modules)
    by_name["head"].weight = by_name["embed"].token.weight


def run_layers(modules, x):
    for _, module in modules:
        x = module(x)
    return x


def decay_groups(parameters, weight_decay):
    """Weight decay for matrices only, as Penstock's optimizer has it."""
    return [
        {"params": [p for p in parameters if p.dim() >= 2],
         "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() < 2],
         "weight_decay": 0.0},
    ]


def set_threads(threads):
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
