"""Networks whose matrix products may run in bfloat16."""

import torch
from torch import nn


class Network(nn.Module):
    """A module that computes in its `precision`; what goes in, comes out and is learned stays float32.

    The precision is a mode, as training and evaluation are, and `set_precision` sets it for all at once.
    Views and losses know nothing of it: three digits are too few for metres and for contrasts.
    """

    precision: torch.dtype = torch.float32

    def autocast(self, device: torch.device) -> torch.autocast:
        """Within, matrix products and recurrent layers run in `precision`."""
        reduced = self.precision is torch.bfloat16
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=reduced)


def set_precision(module: nn.Module, precision: torch.dtype) -> None:
    """Set it for every network in `module`, a method with its teacher for instance."""
    for network in module.modules():
        if isinstance(network, Network):
            network.precision = precision
