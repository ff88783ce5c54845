"""A ring of the latest keys, the negatives of the contrast."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class KeyQueue(nn.Module):
    """The last `length` keys, each of length one, in float32. It starts with random directions."""

    def __init__(self, *, length: int, width: int) -> None:
        super().__init__()
        self.keys: Tensor
        self.next_slot: Tensor
        self.register_buffer("keys", functional.normalize(torch.randn(length, width), dim=1))
        self.register_buffer("next_slot", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def push(self, keys: Float[Tensor, "N D"]) -> None:
        """Overwrite the oldest keys; of more keys than there are slots only the last ones are kept.

        The next slot moves here and nowhere else, and the length need not be a multiple of N (trap E9).
        """
        length = len(self.keys)
        keys = keys[-length:].to(self.keys.dtype)
        slots = (self.next_slot + torch.arange(len(keys), device=keys.device)) % length
        self.keys[slots] = keys
        self.next_slot.copy_((self.next_slot + len(keys)) % length)
