"""The errors Medloop raises on purpose.

Each one is the user's to mend, so each message says what is wrong (naming file, field or
value), what was expected, and what to do. The command line prints the message without a
traceback; the DAG marks the task failed and retries only what can heal.

    MedloopError
    ├── SpecError             a datasets/*.yaml says something it may not
    ├── SettingsError         an environment setting is unusable
    ├── TokenFileError        the file of API tokens cannot be read or believed
    ├── LandingError          a landing folder is missing, empty or not laid out as its spec says
    ├── BadImage              bytes that are no picture we can use; `reason` is a short code
    ├── CheckFailed           an expectation suite did not pass
    ├── SplitError            no leak-free split with every class in it can be made
    ├── WeightsError          pretrained weights are not what they should be
    │   └── WeightsUnavailable    they cannot be had on this machine
    ├── CandidateSkipped      a candidate cannot be trained here, and its spec says to go on without
    ├── TrainingError         a candidate cannot be trained as asked
    │   └── TrainingDiverged      its loss is no longer a number
    ├── BundleError           an inference bundle is incomplete, altered or disagrees with its model
    ├── CanaryFailed          the real service did not answer well with the candidate's bundle
    ├── ChampionChanged       another version serves than the one a decision was made against
    │   └── Overtaken             so a challenger that had passed is not promoted by this run
    ├── WindowError           answers that cannot be judged beside the reference profile
    ├── LabelError            true classes that were handed in cannot be read or used
    ├── NotFound              a snapshot, version or image that was named does not exist
    ├── BackupError           a backup cannot be written, is not whole, or cannot be put back here
    ├── PathRefused           a path leads out of its folder, or to a file that is not ours
    ├── LayoutError           a newer Medloop wrote what is to be read
    ├── MemoryExceeded        a step takes more memory than it may
    ├── SparkJobFailed        a Spark job fails, and would fail the same way again
    ├── StackError            a part of the stack does not start, or its port is taken
    └── Unavailable           a part that should answer does not (now); worth a retry
        ├── StoreUnavailable      HDFS or the local store
        ├── TrackingUnavailable   the MLflow server
        ├── DatabaseUnavailable   PostgreSQL
        ├── DeliveryFailed        a mail server or webhook that does not take an alert
        └── SchedulerUnavailable  the Airflow API
"""

from pipelines.redaction import without_credentials


class MedloopError(Exception):
    """Base of every error a user can mend.

    Its message goes to terminals, logs and mailboxes, so it holds no login of an address.
    """

    def __init__(self, *args: object) -> None:
        shown = (without_credentials(arg) if isinstance(arg, str) else arg for arg in args)
        super().__init__(*shown)


class SpecError(MedloopError):
    """A dataset spec is missing or says something it may not."""


class SettingsError(MedloopError):
    """An environment setting (``MEDLOOP_...``) is unusable."""


class TokenFileError(MedloopError):
    """The file of API tokens is missing, unreadable, or not to be believed."""


class LandingError(MedloopError):
    """A landing folder is missing, empty or not laid out as its spec says."""


class BadImage(MedloopError):
    """Bytes that cannot become a picture.

    Args:
        reason: a short, stable code (``"truncated"``, ``"too_large"`` ...), counted in reports.
        message: what is wrong, for a person.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type["BadImage"], tuple[str, str]]:
        return type(self), (self.reason, str(self))


class CheckFailed(MedloopError):
    """An expectation suite did not pass; the message lists each failed expectation."""


class SplitError(MedloopError):
    """No leak-free split with every class in every part can be made."""


class WeightsError(MedloopError):
    """Pretrained weights cannot be had, or are not what they should be."""


class WeightsUnavailable(WeightsError):
    """ImageNet weights are not on this machine and cannot be downloaded."""


class CandidateSkipped(MedloopError):
    """A candidate cannot be trained on this machine, and its spec says to go on without it."""


class TrainingError(MedloopError):
    """A candidate cannot be trained as asked."""


class TrainingDiverged(TrainingError):
    """A training's loss is no longer a number."""


class BundleError(MedloopError):
    """An inference bundle is incomplete, altered, or disagrees with its Keras model."""


class CanaryFailed(MedloopError):
    """The real service did not answer well with the candidate's bundle."""


class ChampionChanged(MedloopError):
    """Another version serves now than the one a promotion or rollback was decided against."""


class Overtaken(ChampionChanged):
    """A challenger had passed the gate and is not promoted: the champion changed meanwhile."""


class NotApproved(MedloopError):
    """A challenger is not promoted: since its run began, the spec asks for a person's approval."""


class WindowError(MedloopError):
    """Answers that cannot be judged beside the reference profile."""


class LabelError(MedloopError):
    """A file of true classes (``medloop label``) cannot be read or used."""


class NotFound(MedloopError):
    """Something that was named does not exist."""


class BackupError(MedloopError):
    """A backup cannot be written, is not whole, or cannot be put back where it is wanted."""


class PathRefused(MedloopError):
    """A path leads out of its folder, or to a file that would be lost."""


class LayoutError(MedloopError):
    """A home, a store or a file was written by a newer Medloop than this one."""


class MemoryExceeded(MedloopError):
    """A step takes more memory than it may."""


class SparkJobFailed(MedloopError):
    """A Spark job fails, and would fail the same way again."""


class StackError(MedloopError):
    """A part of the stack does not start, or its port is taken."""


class Unavailable(MedloopError):
    """A part that should answer does not, at the moment; trying again can help."""


class StoreUnavailable(Unavailable):
    """The store (HDFS or local) does not answer."""


class TrackingUnavailable(Unavailable):
    """The MLflow server does not answer."""


class DatabaseUnavailable(Unavailable):
    """PostgreSQL does not answer."""


class SchedulerUnavailable(Unavailable):
    """The Airflow API does not answer."""


class DeliveryFailed(Unavailable):
    """A mail server or webhook does not take an alert, at the moment."""
