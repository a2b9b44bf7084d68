"""The published network, layer by layer."""

from keras import layers

from pipelines.models.registry import build

LAYERS = {
    "Conv2D": "conv",
    "SeparableConv2D": "separable",
    "BatchNormalization": "norm",
    "MaxPooling2D": "pool",
    "Flatten": "flat",
}
PUBLISHED = """
conv 16, conv 16, pool,
separable 32, separable 32, norm, pool,
separable 64, separable 64, norm, pool,
separable 128, separable 128, norm, pool, dropout 0.2,
separable 256, separable 256, norm, pool, dropout 0.2,
flat, dense 512, dropout 0.7, dense 128, dropout 0.5, dense 64, dropout 0.3, dense 1
"""


def test_it_is_the_published_network() -> None:
    model = build("separable_cnn", size=150, classes=2, weights=None)

    assert ", ".join(filter(None, map(_described, model.layers))) == " ".join(PUBLISHED.split())


def test_all_its_convolutions_are_3_by_3_with_relu_and_same_padding() -> None:
    model = build("separable_cnn", size=150, classes=2, weights=None)

    convolutions = [layer for layer in model.layers if hasattr(layer, "kernel_size")]
    assert len(convolutions) == 10
    for layer in convolutions:
        assert (layer.kernel_size, layer.padding) == ((3, 3), "same")
        assert layer.activation.__name__ == "relu"


def _described(layer: layers.Layer) -> str | None:
    if isinstance(layer, layers.Dense):
        return f"dense {layer.units}"
    if isinstance(layer, layers.Dropout):
        return f"dropout {layer.rate:g}"
    name = LAYERS.get(type(layer).__name__)
    return f"{name} {layer.filters}" if name and hasattr(layer, "filters") else name
