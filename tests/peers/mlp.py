"""Penstock's mlp (models/zoo, family mlp) written again in plain PyTorch, with
the same parameter names and shapes."""

import torch.nn.functional as F
from torch import nn


class WindowEmbedding(nn.Module):
    """Each position sees the embeddings of the last `window` tokens."""

    def __init__(self, vocabulary, embedding, window):
        super().__init__()
        self.window = window
        self.token = nn.Embedding(vocabulary, embedding)

    def forward(self, tokens):
        embedded = F.pad(self.token(tokens), (0, 0, self.window - 1, 0))
        return embedded.unfold(1, self.window, 1).transpose(2, 3).flatten(2)


def mlp_layers(layers, hidden, vocabulary, embedding, window):
    """(name, module) in Penstock's layer order, without the loss."""
    modules = [("embed", WindowEmbedding(vocabulary, embedding, window))]
    width = window * embedding
    for i in range(layers):
        modules.append((f"fc{i}", nn.Linear(width, hidden)))
        modules.append((f"relu{i}", nn.ReLU()))
        width = hidden
    modules.append(("head", nn.Linear(width, vocabulary)))
    return modules
