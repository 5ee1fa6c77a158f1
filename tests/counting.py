"""A network that counts what passes through it, for tests and for benchmarks."""

import torch


class Counted(torch.nn.Module):
    """A network that counts the rows that pass through it, forward and backward."""

    def __init__(self, network):
        super().__init__()
        self.network, self.forward_rows, self.backward_rows = network, 0, 0

    def forward(self, pixels):
        self.forward_rows += len(pixels)
        logits = self.network(pixels)
        if logits.requires_grad:
            logits.register_hook(self._backward)
        return logits

    def _backward(self, gradient):
        self.backward_rows += len(gradient)
