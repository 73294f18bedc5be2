"""What is claimed of walks."""

from sharpwave_shared.claims import Claim, Measurement


def goes_far(experiment, data) -> Measurement | None:
    distance = float(data["distance"].isel(scale=0).mean())
    return Measurement(f"{distance:.2f} m", distance > 1.0, {"distance": distance})


def both_ways(experiment, data) -> Measurement | None:
    if data.sizes["seed"] < 2:
        return None
    both = bool(0 < data["right"].mean() < 1)
    return Measurement("both" if both else "one way", both, {})


CLAIMS = [
    Claim(
        "far",
        "The point walks far away from where it started, in words that need more than one line [x]",
        "Figure 1",
        "2.5 m",
        "[1.0, 100]: mean distance above 1 m",
        goes_far,
    ),
    Claim("both", "Points go both ways", "text", "both", "some left, some right", both_ways),
]
