"""Methods: ways to train an encoder without labels. `METHODS` names them all."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from kinemask.encoders.base import Encoder
from kinemask.methods.base import Method
from kinemask.methods.mtmc import Mtmc, MtmcConfig
from kinemask.methods.untrained import Untrained, UntrainedConfig
from kinemask.skeleton.inputs import InputConfig
from kinemask.skeleton.layout import Layout

MethodConfig = Annotated[MtmcConfig | UntrainedConfig, Field(discriminator="name")]


def _mtmc(config: Any, encoder: Encoder, inputs: InputConfig, layout: Layout, num_persons: int) -> Method:
    return Mtmc(config=config, encoder=encoder, inputs=inputs, layout=layout, num_persons=num_persons)


def _untrained(
    config: Any, encoder: Encoder, inputs: InputConfig, layout: Layout, num_persons: int
) -> Method:
    return Untrained(encoder=encoder)


METHODS: dict[str, Callable[[Any, Encoder, InputConfig, Layout, int], Method]] = {
    "mtmc": _mtmc,
    "untrained": _untrained,
}
