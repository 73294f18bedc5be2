"""The command `hybrid-plasticity`."""

from hybrid_plasticity.commands import Batch, Visualize
from hybrid_plasticity.experiments.analyze import Analyze
from hybrid_plasticity.experiments.compare import Compare
from hybrid_plasticity.experiments.evaluate import Evaluate
from hybrid_plasticity.experiments.train import Train
from sharpwave_shared.app import App

app = App("hybrid-plasticity", "Hybrid synaptic plasticity: networks that recognise what they saw.")
app.main(Train, Visualize, choose="mode")
app.add(Batch, Evaluate, Analyze)
app.know(Compare)


def main() -> None:
    """Run the command line."""
    app()
