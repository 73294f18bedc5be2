"""The command `synaptic-consolidation`."""

from sharpwave_shared.app import App
from synaptic_consolidation.experiments.exact import Exact
from synaptic_consolidation.experiments.networks import F50, Networks
from synaptic_consolidation.experiments.synapses import AnalyzeSpines, SynNoise
from synaptic_consolidation.experiments.theory import Theory
from synaptic_consolidation.experiments.wake_sleep import WakeSleep

app = App(
    "synaptic-consolidation",
    "Two-factor synaptic consolidation: robust memory through pruning and scaling.",
)
app.main(Networks)
app.add(F50, WakeSleep, SynNoise, AnalyzeSpines, Theory, Exact)


def main() -> None:
    """Run the command line."""
    app()
