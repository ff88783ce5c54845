"""Methods: ways to train an encoder. `METHODS` names them all."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from kinemask.encoders.base import Encoder
from kinemask.methods.base import Domain, Method
from kinemask.methods.jmm_tgt import JmmTgt
from kinemask.methods.jmm_tgt_config import JmmTgtConfig
from kinemask.methods.mtmc import Mtmc
from kinemask.methods.mtmc_config import MtmcConfig
from kinemask.methods.supervised import Supervised, SupervisedConfig
from kinemask.methods.twins import TwinContrast
from kinemask.methods.twins_config import TwinsConfig
from kinemask.methods.untrained import Untrained, UntrainedConfig
from kinemask.skeleton.inputs import InputConfig

MethodConfig = Annotated[
    MtmcConfig | JmmTgtConfig | TwinsConfig | SupervisedConfig | UntrainedConfig,
    Field(discriminator="name"),
]

# The only ones that a pretraining gives the labels of its training clips, as LabelledClips (trap E12).
LEARN_FROM_LABELS = frozenset({"supervised"})

# Those that simulate people, and so ask what the body of a benchmark is like.
SIMULATE = frozenset({"twins"})


def _mtmc(config: Any, encoder: Encoder, inputs: InputConfig, domain: Domain) -> Method:
    return Mtmc(config=config, encoder=encoder, inputs=inputs, domain=domain)


def _jmm_tgt(config: Any, encoder: Encoder, inputs: InputConfig, domain: Domain) -> Method:
    return JmmTgt(config=config, encoder=encoder, inputs=inputs, domain=domain)


def _twins(config: Any, encoder: Encoder, inputs: InputConfig, domain: Domain) -> Method:
    return TwinContrast(config=config, encoder=encoder, inputs=inputs, domain=domain)


def _supervised(config: Any, encoder: Encoder, inputs: InputConfig, domain: Domain) -> Method:
    return Supervised(config=config, encoder=encoder, inputs=inputs, domain=domain)


def _untrained(config: Any, encoder: Encoder, inputs: InputConfig, domain: Domain) -> Method:
    return Untrained(encoder=encoder)


METHODS: dict[str, Callable[[Any, Encoder, InputConfig, Domain], Method]] = {
    "mtmc": _mtmc,
    "jmm_tgt": _jmm_tgt,
    "twins": _twins,
    "supervised": _supervised,
    "untrained": _untrained,
}
