"""Two-factor synaptic consolidation: robust memory through pruning and homeostatic scaling.

Synaptic weights are products of factors with a homeostatic norm. Replaying weakly imprinted
memories then maximises robustness to noise, prunes most synapses, and scales the rest.
"""

from synaptic_consolidation.exact import (
    Optimum,
    RowOptima,
    largest_l1_margin,
    largest_l2_margin,
    optima_of_rows,
)
from synaptic_consolidation.fluctuations import Fluctuations, simulate
from synaptic_consolidation.learning import Progress, advance, consolidate
from synaptic_consolidation.measures import measure_rows
from synaptic_consolidation.model import Rows, Rule, initial_rows, inputs_of
from synaptic_consolidation.patterns import draw_patterns
from synaptic_consolidation.recall import Curve, Memory, tolerances
from synaptic_consolidation.spines import read_spines
from synaptic_consolidation.synapses import Spines, analyse, compare
from synaptic_consolidation.theory import critical_load, l1_optima_at_loads, l2_optima_at_loads

__all__ = [
    "Curve",
    "Fluctuations",
    "Memory",
    "Optimum",
    "Progress",
    "RowOptima",
    "Rows",
    "Rule",
    "Spines",
    "advance",
    "analyse",
    "compare",
    "consolidate",
    "critical_load",
    "draw_patterns",
    "initial_rows",
    "inputs_of",
    "l1_optima_at_loads",
    "l2_optima_at_loads",
    "largest_l1_margin",
    "largest_l2_margin",
    "measure_rows",
    "optima_of_rows",
    "read_spines",
    "simulate",
    "tolerances",
]
