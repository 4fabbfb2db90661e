"""All contests: the same computation on the same numbers in every library, by title and library.

A function without arguments builds a `Work` and imports its library, so a process that runs one workload alone holds no
other library.
"""

from __future__ import annotations

import chain
import convolutions
import layers
import limits
import networks
from work import Builder

CONTESTS: dict[str, dict[str, Builder]] = networks.CONTESTS | layers.CONTESTS | convolutions.CONTESTS
CONTESTS |= chain.CONTESTS | limits.CONTESTS
