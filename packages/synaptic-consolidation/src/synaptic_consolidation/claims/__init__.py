"""What the paper claims, measured on runs."""

from synaptic_consolidation.claims.networks import CLAIMS as NETWORKS
from synaptic_consolidation.claims.nights import CLAIMS as NIGHTS
from synaptic_consolidation.claims.optima import CLAIMS as OPTIMA
from synaptic_consolidation.claims.synapses import CLAIMS as SYNAPSES

CLAIMS = [*NETWORKS, *NIGHTS, *OPTIMA, *SYNAPSES]
