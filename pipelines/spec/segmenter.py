"""How a network is trained to find lesions, where masks came with the images."""

from pydantic import Field

from pipelines.spec.section import Section


class SegmenterSpec(Section):
    """A small U-Net, trained on the masks (`medloop segment`)."""

    epochs: int = Field(default=40, ge=1, le=1000)
    batch_size: int = Field(default=16, ge=1, le=256)
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    patience: int = Field(default=8, ge=1)
    """Epochs without a better validation loss after which training stops."""
    margin: float = Field(default=0.1, ge=0, le=0.5)
    """How much wider the box around a found lesion is on each side, as a share of the picture."""
    folds: int = Field(default=3, ge=2, le=10)
    """Where images are cropped to lesions: parts into which the groups with masks are divided.
    Each part is cropped by a network that has not learned from it, so this many further networks
    are trained (docs/decisions/lesion_crop.md)."""
