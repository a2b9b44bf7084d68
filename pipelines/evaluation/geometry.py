"""From a Keras model's layers to the places its last feature map looks at.

Each layer moves the centre of the first cell's field of view and multiplies the distance between
cells, as in Araujo et al. 2019 (doi 10.23915/distill.00021): behind a window of ``k`` with stride
``s`` and ``p`` rows of padding before, the centre moves by ``((k - 1) / 2 - p)`` cells.

That holds for kernels that weigh both sides alike. A network that has long learned from mirrored
pictures has made up for lopsided padding: its kernels lean to one side, and its cells cover the
picture evenly. EfficientNet-Lite0 with its ImageNet weights looks half a cell beside the place
that its padding gives. So where the two differ, the network's gradients decide which it is.
"""

from typing import TYPE_CHECKING, Any

from pipelines.errors import BundleError
from pipelines.evaluation.cells import Cells, stretched
from pipelines.evaluation.view import centre_of_view

if TYPE_CHECKING:
    import keras

ALIKE = 1.0
"""Pixels by which two places may differ and still be one."""


def cells_of(model: "keras.Model") -> Cells:
    """Where the cells of a model's ``features`` stand in its input.

    Raises:
        BundleError: a layer on the way changes the map's size in a way that is not known here.
    """
    places = {id(model.input): Cells(first=0.0, stride=1.0)}
    for layer in model.layers:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        seen = [(tensor, places[id(tensor)]) for tensor in inputs if id(tensor) in places]
        if not seen or len(layer.output.shape) != 4 or _looks_everywhere(layer):
            continue
        tensor, before = seen[0]  # branches that meet have come the same way
        places[id(layer.output)] = _behind(layer, tensor, before)
    features = model.get_layer("features").output
    return _as_learned(model, places[id(features)], cells=int(features.shape[1]))


def _as_learned(model: "keras.Model", padded: Cells, *, cells: int) -> Cells:
    """The cells as the padding places them, or evenly, whichever the gradients are nearer to."""
    evenly = stretched(cells, int(model.input_shape[1]))
    if abs(evenly.stride - padded.stride) > ALIKE or abs(evenly.first - padded.first) < ALIKE:
        return padded
    cell = round((cells - 1) / 2)
    seen = centre_of_view(model, cell)
    if seen is None:
        return padded
    first = seen - cell * padded.stride
    return min(padded, evenly, key=lambda place: abs(place.first - first))


def _behind(layer: Any, tensor: Any, before: Cells) -> Cells:
    """The cells of a layer's output, given those of its input."""
    from keras import layers

    if isinstance(layer, layers.ZeroPadding2D):
        return _moved(before, -layer.padding[0][0])
    if isinstance(layer, layers.Cropping2D):
        return _moved(before, layer.cropping[0][0])
    if isinstance(layer, layers.Resizing):
        scale = tensor.shape[1] / layer.height  # pixels stand for squares, whose centres are kept
        moved = _moved(before, (scale - 1) / 2)
        return moved.model_copy(update={"stride": before.stride * scale})
    window = _window(layer)
    if window is not None:
        kernel, stride = window
        padding = _padding(layer, tensor.shape[1], kernel, stride)
        moved = _moved(before, (kernel - 1) / 2 - padding)
        return moved.model_copy(update={"stride": before.stride * stride})
    if layer.output.shape[1:3] == tensor.shape[1:3]:
        return before
    raise BundleError(
        f"Layer {layer.name!r} ({type(layer).__name__}) changes the feature map's size in a way "
        "that Grad-CAM cannot place; teach pipelines/evaluation/geometry.py what it does."
    )


def _moved(cells: Cells, by: float) -> Cells:
    return cells.model_copy(update={"first": cells.first + by * cells.stride})


def _looks_everywhere(layer: Any) -> bool:
    """Whether a layer's output has no place, as that of a global pooling."""
    from keras import layers

    return isinstance(layer, layers.GlobalAveragePooling2D | layers.GlobalMaxPooling2D)


def _window(layer: Any) -> tuple[int, int] | None:
    """A layer's kernel and stride in rows, if it looks through a window."""
    from keras import layers

    if isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D):
        return layer.pool_size[0], layer.strides[0]
    if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.SeparableConv2D):
        return (layer.kernel_size[0] - 1) * layer.dilation_rate[0] + 1, layer.strides[0]
    return None


def _padding(layer: Any, size: int, kernel: int, stride: int) -> int:
    """Rows that a layer itself pads before the first: TensorFlow's rule for ``same``."""
    if layer.padding != "same":
        return 0
    steps = -(-size // stride)
    return int(max((steps - 1) * stride + kernel - size, 0) // 2)
