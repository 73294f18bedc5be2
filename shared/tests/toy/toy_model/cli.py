"""The command `toy-model`."""

from sharpwave_shared.app import App
from toy_model.experiments.parts import Parts
from toy_model.experiments.walk import Brittle, Herd, Walk

app = App("toy-model", "Random walks.")
app.main(Walk)
app.add(Herd, Brittle, Parts)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
