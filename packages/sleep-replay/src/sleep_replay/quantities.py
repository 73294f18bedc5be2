"""What the quantities in results are called, and their units."""

from __future__ import annotations

from sharpwave_shared.lazy import xr

ERROR = "summed absolute grey level"
GREY = "grey level (0 to 255)"
HELD_OUT = "fraction of held-out images"

QUANTITIES = {
    "error": ("reconstruction error", ERROR),
    "standard_error": ("standard error of the reconstruction error over test images", ERROR),
    "carried": ("share of variance carried", ""),
    "mse": ("mean squared error per pixel", ""),
    "constant_error": ("error of the best constant image", ERROR),
    "image_error": ("reconstruction error of each test image", ERROR),
    "dream_share": ("share of a network's dreams that look like a data set", ""),
    "dream": ("samples of the first seed's networks", GREY),
    "picture": ("test images", GREY),
    "reconstruction": ("reconstructions by the first seed's networks", GREY),
    "loss": ("training loss", ""),
    "test_error": ("test error", ERROR),
    "variance_carried": ("share of variance carried", ""),
    "epochs": ("epochs of training", ""),
    "recall_error": ("error of recall", ERROR),
    "recall_carried": ("share of variance carried by recall", ""),
    "input_error": ("error of the corrupted image", ERROR),
    "pixels_lost": ("pixels lost", ""),
    "intact": ("intact test images", GREY),
    "recall": ("corrupted images, and the first network's recall", GREY),
    "accuracy": ("decoding accuracy", HELD_OUT),
    "accuracy_from_scratch": ("decoding accuracy in a training from scratch", HELD_OUT),
    "loss_from_scratch": ("loss in a training from scratch", ""),
    "chance": ("decoding accuracy of always the same digit", HELD_OUT),
    "embedding": ("t-SNE of latent means", ""),
    "latent": ("latent means that t-SNE shows", ""),
    "digit": ("digits of the images that t-SNE shows", ""),
    "grid": ("images decoded around the mean of latents", GREY),
    "deviation": ("standard deviation of latents along principal components", ""),
    "share": ("share of the latents' variance along principal components", ""),
    "interpolation": ("images decoded between latents, and those at the ends", GREY),
}
"""Long name and units of every variable; those of `final_NAME` are NAME's."""


def described(results: xr.Dataset) -> xr.Dataset:
    """Give all variables their long names and units."""
    for name, variable in results.data_vars.items():
        plain = str(name).removeprefix("final_")
        long_name, units = QUANTITIES[plain]
        variable.attrs["long_name"] = long_name if plain == name else f"final {long_name}"
        if units:
            variable.attrs["units"] = units
    return results
