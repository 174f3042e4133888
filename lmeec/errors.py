"""Errors whose message is written for the user: what is wrong, in which file or take, and how to mend it."""


class LmeecError(Exception):
    """Base of every error that the command line shows without a traceback."""


class DataError(LmeecError):
    """Takes, annotations, masks or videos that cannot be used as they are."""


class CameraError(DataError):
    """The video of one camera of a take that cannot be read.

    Args:
        camera: its name.
        reason: what is wrong, for the user.
    """

    def __init__(self, camera: str, reason: str) -> None:
        super().__init__(reason)
        self.camera = camera


class CheckpointError(LmeecError):
    """A checkpoint that is missing, damaged or made for another model."""


class OutputError(LmeecError):
    """A result file that exists already, cannot be written or is not one of ours."""


class DiskFullError(OutputError):
    """No more can be written where the results go: no space, no quota, or read-only."""


class ClusterError(LmeecError):
    """A Ray cluster that cannot be started, joined or used as asked."""


class TrainingError(LmeecError):
    """A training that cannot go on: its losses are no numbers any more, or memory does not suffice."""


class ConfigError(LmeecError, ValueError):
    """A setting outside of what it may be; the message names the setting and the value."""


def require(holds: bool, setting: str, value: object, expected: str) -> None:
    """Raise a `ConfigError` unless a setting's value is as expected.

    Example:
        >>> require(0 < 3, "batch", 3, "positive")
    """
    if not holds:
        raise ConfigError(f"{setting} is {value!r}, but must be {expected}")
