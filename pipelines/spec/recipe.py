"""How a candidate is trained: loss, balance, augmentation, optimiser, schedule."""

from typing import Literal

from pydantic import Field, model_validator

from pipelines.spec.section import Section, Share


class TrainingSpec(Section):
    """The part of a candidate that says how it learns."""

    recipe: Literal["frozen", "finetune", "scratch", "logistic", "ensemble"]
    """``frozen``: a new head on a pretrained backbone; ``finetune``: the same, then the backbone's
    last blocks too; ``scratch``: every layer at once; ``logistic``: a regression on features that
    Spark computes (see `CandidateSpec.logistic`); ``ensemble``: nothing is trained, other
    candidates' answers are averaged (`CandidateSpec.members`)."""
    epochs: int = Field(default=40, ge=1, le=1000)
    batch_size: int = Field(default=32, ge=1, le=1024)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    finetune_epochs: int = Field(default=8, ge=1, le=1000)
    finetune_learning_rate: float = Field(default=1e-4, gt=0, le=1)
    finetune_layers: int | None = Field(default=None, ge=1)
    """How many of the backbone's last blocks learn in fine-tuning; all if null."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Share of the head's hidden outputs left out in training; the family's own (0.5) if null."""

    optimizer: Literal["adam", "sgd", "rmsprop"] = "adam"
    momentum: float | None = Field(default=None, ge=0, lt=1)
    """Of ``sgd``; 0.9 if null."""
    schedule: Literal["plateau", "cosine"] = "plateau"
    """``plateau``: the learning rate falls where validation loss does; ``cosine``: along half a
    cosine, to nothing after the last epoch (Loshchilov & Hutter 2017, without restarts)."""
    warmup_epochs: int = Field(default=0, ge=0)
    """First epochs, of each phase, in which the learning rate rises by equal steps."""
    patience: int = Field(default=6, ge=1)
    """Epochs without a better validation loss after which training stops."""
    plateau_patience: int | None = Field(default=None, ge=1)
    """Epochs without one after which the learning rate falls; half of ``patience``, two at least,
    if null."""
    plateau_factor: float | None = Field(default=None, gt=0, lt=1)
    """What the learning rate is multiplied by then; 0.3 if null."""

    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    """``focal`` looks away from what is told well already (Lin et al. 2017)."""
    focal_gamma: float | None = Field(default=None, ge=0, le=10)
    """How far it looks away; 2, as in the paper, if null."""
    label_smoothing: Share = 0.0
    """Share of each label that is spread evenly over all classes (Szegedy et al. 2016)."""
    balance: Literal["none", "class_weights", "class_sampling", "source_sampling"] = "class_weights"
    """What is done about rare classes. ``class_weights``: their images weigh more.
    ``class_sampling``: they are shown more often, so that each class is seen equally often.
    ``source_sampling``: so is, within each class, each source its images come from, and a
    network gains less from knowing the source."""
    augment: Literal["none", "light", "strong"] = "none"
    orientation: Literal["upright", "any"] = "upright"
    """``any``: the images have no upright pose (a mole, a tissue section), so augmentation turns
    them by quarters too."""
    mixup: float = Field(default=0.0, ge=0, le=4)
    """Both parameters of the Beta distribution by which two images of a batch, and their labels,
    are mixed (Zhang et al. 2018; 0.2 to 0.4 there); 0 mixes none. Mixed images weigh as their
    parts do, by the same shares."""
    poses: Literal["upright", "mirrored", "flipped"] = "upright"
    """What the finished model is asked: its logits are the mean over these poses of an image.
    ``mirrored``: left for right too, at twice the time; ``flipped``: upside down as well, at four
    times, for images that have no upright pose."""

    @model_validator(mode="after")
    def _no_option_is_idle(self) -> "TrainingSpec":
        needed = {
            "momentum": ("optimizer", "sgd"),
            "focal_gamma": ("loss", "focal"),
            "plateau_patience": ("schedule", "plateau"),
            "plateau_factor": ("schedule", "plateau"),
        }
        for field, (other, value) in needed.items():
            if getattr(self, field) is not None and getattr(self, other) != value:
                raise ValueError(f"{field} means something with '{other}: {value}' only")
        if self.orientation == "any" and self.augment == "none":
            raise ValueError("orientation 'any' means something with augmentation only")
        if self.recipe == "frozen" and self.augment != "none":
            raise ValueError(
                "recipe 'frozen' computes features once, so it cannot augment; "
                "leave augment out, or use recipe 'finetune'"
            )
        return self

    @model_validator(mode="after")
    def _training_outlasts_the_warm_up(self) -> "TrainingSpec":
        phases = [self.epochs, *([self.finetune_epochs] if self.recipe == "finetune" else [])]
        if self.warmup_epochs >= min(phases):
            raise ValueError(
                f"warmup_epochs is {self.warmup_epochs}, and training has {min(phases)} epochs; "
                "a warm-up must end before training does"
            )
        return self
