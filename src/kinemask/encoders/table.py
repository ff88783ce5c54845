"""Learned vectors that are looked up by place, and never multiply what is fed."""

from torch import nn


class Table(nn.Parameter):
    """A vector for each place. An optimiser that spares vectors weight decay spares it as well."""
