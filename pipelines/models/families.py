"""The model families of the zoo by name. A family counts in the version of its own code alone."""

FAMILIES = {
    "densenet121": "pipelines.models.densenet121",
    "efficientnet_lite0": "pipelines.models.efficientnet_lite0",
    "inception_v3": "pipelines.models.inception_v3",
    "resnet50": "pipelines.models.resnet50",
    "separable_cnn": "pipelines.models.separable_cnn",
    "small_cnn": "pipelines.models.small_cnn",
    "strided_cnn": "pipelines.models.strided_cnn",
}
"""Model → its module. It has ``build(image, *, classes, ...)``, which leads from pixels, float32
(batch, size, size, 3), to probabilities and whose further arguments are the model's options;
``INPUT_SIZE`` where the model has a size of its own; and, where `imagenet` knows of weights,
``load_imagenet(model)``."""
