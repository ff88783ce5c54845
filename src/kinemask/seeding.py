"""One seed becomes independent named generators, so that no part of a run shifts the numbers of another."""

import hashlib

import numpy as np


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed from `seed` and every name, the same on every machine and in every process."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator for the named purpose. For torch, seed a `torch.Generator` with `derive_seed`."""
    return np.random.default_rng(derive_seed(seed, *names))
