"""All simulated actions, some much alike. The number in a file's name is the place in the chosen list."""

from kinemask.datasets.kinesim.more_solo import MORE_ALONE
from kinemask.datasets.kinesim.motion import Action
from kinemask.datasets.kinesim.pairs import MORE_TOGETHER, TOGETHER
from kinemask.datasets.kinesim.solo import ALONE

# The first twenty are those of kinesim, the others those of kinesim2.
ACTIONS: tuple[Action, ...] = (*ALONE, *TOGETHER, *MORE_ALONE, *MORE_TOGETHER)
