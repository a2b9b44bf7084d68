"""What the stages hand to each other, in the order of the loop.

    landing → Landing → Snapshot → Split → Prepared → Trained → Evaluated → Challenger → Verdict

Each is a small reference: where the result stands in the store or in MLflow, and the few
figures a person wants to see. Airflow passes them as XCom, the command line by hand.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pipelines.stage import Output

Gate = Literal["landing", "snapshot", "prepared"]
Waker = Literal["landing", "drift", "schedule", "hand"]
"""What started a run."""
SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


class Landing(Output):
    """A landing folder, every file in it opened and judged; originals that are new are stored.

    ``path`` holds ``files.parquet``, one row a file, with columns: ``source_path`` (relative to
    the landing folder), ``label`` (class name), ``landing_label`` (as found), ``declared_split``
    (``train``, ``test`` or null), ``group`` (patient or lesion, or null), ``metadata`` (JSON),
    ``sha256``, ``bytes``, ``format``, ``width``, ``height``, ``mode``, ``bits``, ``notes``,
    ``mean``, ``std`` (grey level of the decoded picture, 0 to 255), ``facts`` (key of the row in
    the table ``originals``; null where it could not be decoded), ``reason`` and ``message`` (null
    where accepted; ``copy`` where a file without a label holds the bytes of an accepted one).
    """

    source: str
    """The landing folder."""
    path: str
    files: int
    accepted: int
    copies: int = 0
    """Files without a label that hold the bytes of an accepted file, and are left out."""
    quarantined: dict[str, int]
    """Reason → number of files refused."""


class Snapshot(Output):
    """A data set's images at a revision of its tables, which never changes.

    ``path`` holds ``manifest.json``. The number of ``id`` is the revision, whose rows
    `pipelines.data.revisions` reads.
    """

    path: str
    images: int
    added: int
    """Images that no earlier snapshot held."""
    parent: str | None
    """Id of the snapshot this one builds on."""
    quarantine: str | None
    """Store path of what was refused, each with its reason."""


class Enough(Output):
    """Whether a snapshot is worth training on."""

    enough: bool
    new_images: int
    """Images that the champion has not seen; all, where there is no champion."""
    changed_images: int = 0
    """Images that it has seen with another label, group, split or mask, or that are gone."""
    wanted: int
    """How many have to be new or changed."""
    said: str
    """For a person: ``17 new images and 2 changed images (label: 2), 200 wanted``."""


class Split(Output):
    """Who trains, who validates, who tests: no group in two of them.

    ``path`` holds ``leaks.json`` and ``report.html``; `pipelines.data.split.members` reads which
    split each file is in.
    """

    snapshot: str
    """Store path of the snapshot."""
    path: str
    revision: int = 0
    """Of the table ``splits``, whose rows say which split a file is in (the manifest's counts)."""
    counts: dict[SplitName, dict[str, int]]
    """Split → class → images."""
    exact_duplicates: int
    """Images whose bytes another image has too."""
    near_duplicates: int
    """Further images that show the same picture as another."""
    leaks: int
    """Images taken out of training because the test set shows the same group or picture."""


class Segmenter(Output):
    """A network that finds lesions, kept for the crop.

    ``path`` holds the files of `pipelines.imaging.lesion` and ``manifest.json``.
    """

    path: str
    sha256: str
    """Of its files; see `pipelines.imaging.lesion.digest`."""
    images: int
    """Training and validation images with a mask, which it learnt from."""


class PreparedImages(Output):
    """Every image that was prepared in one way; a delivery adds its own.

    ``path`` holds parts and their listings (`pipelines.data.prepare.listings`), and
    ``manifest.json``.
    """

    path: str
    size: int
    """Side of the square images in pixels."""
    versions: dict[str, str]
    """Library → version, of the libraries that decided the pixels."""


class Prepared(Output):
    """A training set: a list of prepared images.

    ``path`` holds ``keys.parquet``, one row an image, in an order that the seed and the images
    decide: ``sha256``, ``finder`` and ``mask`` (what tells prepared images apart:
    `pipelines.data.prepare.listings`), ``split``, ``label`` (index into the classes), ``group``,
    ``source``, ``source_path``; ``stats.json`` and ``manifest.json``. The ID is the fingerprint of
    these rows, so it does not depend on how many deliveries brought the images.
    """

    snapshot: str
    split: str
    """Store path of the split."""
    path: str
    images: str
    """Store path of `PreparedImages`, which hold the pixels."""
    rows: dict[SplitName, int]
    segmenter: str | None = None
    """Store path of the network whose lesions the images are cropped to; null where they are
    not."""


class Features(Output):
    """Prepared images as rows of numbers: see `pipelines.features.extract`.

    ``path`` holds a file for each part of prepared images, and ``manifest.json``.
    """

    images: str
    """Store path of `PreparedImages`."""
    path: str
    kind: Literal["deep", "texture", "pixels"]
    model: str | None
    """The backbone that describes them, for ``deep``."""


class DataProfile(Output):
    """What the prepared images look like, class by class: see `pipelines.profile`.

    ``path`` holds ``report.html``, ``pictures/*.png``, ``statistics.json``, ``images.npz`` and
    ``manifest.json``.
    """

    prepared: str
    """Store path of the training set."""
    path: str
    run_id: str | None = None
    """MLflow run that shows it; ``None`` before it was logged."""
    images: int


class CheckReport(Output):
    """What an expectation suite found."""

    gate: Gate
    passed: bool
    expectations: int
    failed: list[str]
    """One sentence for each expectation that was not met and stops the run."""
    warnings: list[str]
    """The same for those that stop nothing."""
    data_docs: str
    """Path of this run's page in the Data Docs."""


class Trained(Output):
    """A candidate model: an MLflow run with its Keras model."""

    candidate: str
    run_id: str
    epochs: int
    seconds: float


class Evaluated(Output):
    """A candidate with its figures."""

    candidate: str
    run_id: str
    validation: dict[str, float]
    test: dict[str, float]
    """Metric → value (``accuracy``, ``macro_f1`` …, as in the spec's gate)."""
    servable: bool = True
    """Whether a bundle can be made of it; one that cannot is compared, and never chosen."""


class Challenger(Output):
    """The best candidate: its inference bundle, registered in MLflow."""

    candidate: str
    run_id: str
    version: int
    """Version of the registered model that is named as the data set."""
    standing: bool = False
    """Whether it serves as champion already, so that nothing is left to decide."""


class RuleResult(BaseModel):
    """One rule of the gate and the number it judged."""

    model_config = ConfigDict(frozen=True)

    rule: str
    """For a person: ``sensitivity of glioma is at least 0.70``."""
    value: float
    limit: float
    passed: bool
    low: float | None = None
    """The value's 95 % interval, where it has one."""
    high: float | None = None
    means: str = ""
    """What it means where it is broken, and what to do."""
    note: str = ""
    """What a reader must know even where it is kept: the test set is too small to tell."""

    @property
    def told(self) -> str:
        """The number with its interval: ``0.9123 (0.8810 to 0.9405)``."""
        if self.low is None or self.high is None:
            return f"{self.value:.4f}"
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


class Verdict(Output):
    """The gate's decision on a challenger."""

    version: int
    passed: bool
    champion: int | None
    """The version that served when it was judged, which it was compared with."""
    best: int | None = None
    """A further version it was compared with: the best champion so far."""
    rules: list[RuleResult]

    @property
    def notes(self) -> list[str]:
        """What the test set is too small to tell; one text each."""
        return list(dict.fromkeys(rule.note for rule in self.rules if rule.note))

    @property
    def refusals(self) -> list[str]:
        """Why not: the rule that was broken, its number, and what that means; one text each."""
        broken = [r for r in self.rules if not r.passed]
        return [f"{r.rule}: {r.told}" + (f". {r.means}" if r.means else "") for r in broken]


class Question(Output):
    """What a person is asked before a version may serve."""

    version: int
    subject: str
    """One line."""
    body: str
    """The figures, champion beside challenger; Markdown."""


class Answer(Output):
    """What a person answered, or that nobody did."""

    version: int
    approved: bool
    by: str | None
    """Who answered; ``None`` if nobody did in time."""
    at: datetime
    note: str
    """Why, in that person's words; may be empty."""

    @property
    def told(self) -> str:
        """The answer in a sentence."""
        day = f"{self.at:%Y-%m-%d %H:%M} UTC"
        if self.by is None:
            return f"nobody approved it by {day}"
        why = f": {self.note}" if self.note else ""
        return f"{'approved' if self.approved else 'rejected'} by {self.by}, {day}{why}"


class Release(Output):
    """Which version serves after a promotion or rollback."""

    champion: int
    previous: int | None


class Scores(Output):
    """The champion's predictions for every image of a snapshot or a folder.

    ``path`` holds ``part-*.parquet``, one row an image (docs/scoring.md names the columns), and
    ``manifest.json``.
    """

    path: str
    snapshot: str | None
    """Store path of the snapshot; null where a folder was scored."""
    source: str | None
    """The folder; null where a snapshot was scored."""
    version: int | None
    """Version of the registered model."""
    run_id: str
    """MLflow run the model comes from."""
    images: int
    predicted: dict[str, int]
    """Class → images it was decided for."""
    abstained: int
    """Images whose answer should not be relied on."""
    review: int
    """Images that a person should see first."""
    unreadable: dict[str, int]
    """Reason → files that could not be read."""
    seconds: float
    """What it took, Spark's start included."""


class Profile(Output):
    """What a champion's answers look like while all is well: see `monitoring.reference`."""

    path: str
    run_id: str
    """MLflow run of the model, by which its answers in served samples are known."""
    version: int | None
    """In the registry; ``None`` before the bundle had one."""
    images: int


class Monitored(Output):
    """What the monitor knows of a champion's traffic after a run."""

    version: int
    windows: int
    """Windows that this run has judged."""
    snapshots: int
    """Snapshots whose new images this run has judged."""
    waiting: int
    """Answers that do not make a window yet."""
    drifted: list[str]
    """Kinds of drift in the latest window."""
    drifting: bool
    """Whether drift is confirmed, and not over."""
    confirmed: bool
    """The same, and nobody was woken for it yet: once for each time that drift comes."""
    estimated_accuracy: float | None
    """Of the latest window, without labels."""
    measured_accuracy: float | None
    """Of the answers whose true class is known by now."""
    report: str
    """Path of the page that tells it all."""
