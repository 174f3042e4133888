"""What a worker tells of its models and of the jobs that it did; what sends or receives that needs no torch."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lmeec.errors import CameraError, DiskFullError, LmeecError, OutputError
from lmeec.files.secrets import without_secrets
from lmeec.inference.pipeline import Profile
from lmeec.tables.notes import Note


@dataclass(frozen=True)
class PartResult:
    """What became of one take in one direction.

    Attributes:
        rows: predictions written.
        tracks: tracks followed.
        seconds: wall time.
        warnings: what could not be predicted and why.
        profile: where the time went.
        missing: rows of frames without a prediction.
        broken: cameras whose videos cannot be read, and why; what needs them is not in the part.
        peak_memory: most resident bytes of this process meanwhile; None where that is not known.
        peak_gpu_memory: most bytes of tensors on the GPU meanwhile; None without one.
        note: of the part, for the index; None where nothing can be noted.
    """

    rows: int
    tracks: int
    seconds: float
    warnings: tuple[str, ...]
    profile: Profile = field(default_factory=Profile)
    missing: int = 0
    broken: Mapping[str, JobError] = field(default_factory=dict)
    peak_memory: int | None = None
    peak_gpu_memory: int | None = None
    note: Note | None = None


@dataclass(frozen=True)
class ModelInfo:
    """A worker's model of one direction.

    Attributes:
        name: the built-in name or the checkpoint's file name.
        digest: of the weights.
        device: where it computes: cpu, cuda or mps.
        dtype: arithmetic of the large operations.
        gpu: which GPU: its number on the machine, and its name; empty without one.
    """

    name: str
    digest: str
    device: str
    dtype: str
    gpu: str = ""

    @property
    def computes_on(self) -> str:
        """The device in words, as `cpu` or `cuda 0 NVIDIA H200`."""
        return f"{self.device} {self.gpu}".strip()


@dataclass(frozen=True)
class JobError:
    """Why a job failed, and what can be done about it.

    Attributes:
        reason: for the user.
        retry: whether trying again may help.
        fatal: whether every other job would meet it too.
        fresh_worker: whether the process may have been left unfit for the next job.
        camera: the camera whose video is at fault; None if it is not one camera.
    """

    reason: str
    retry: bool = True
    fatal: bool = False
    fresh_worker: bool = False
    camera: str | None = None

    @classmethod
    def of(cls, error: Exception) -> JobError:
        """Judge an exception; what it says is kept without credentials.

        What the data say will not change by trying again, unless reading them failed for a reason outside of them,
        such as a network file system that was away. A full disk meets every job. After anything unexpected, a GPU's
        state in this process is not to be trusted.
        """
        judged = cls._judged(error)
        return replace(judged, reason=without_secrets(judged.reason))

    @classmethod
    def _judged(cls, error: Exception) -> JobError:
        if isinstance(error, DiskFullError):
            return cls(str(error), retry=False, fatal=True)
        if isinstance(error, OutputError):
            return cls(str(error))
        if _is_out_of_gpu_memory(error):
            return cls(
                "out of GPU memory with one track at a time: use a GPU with more memory, fewer workers a GPU, or a "
                f"smaller memory size ({str(error).splitlines()[0]})",
                fresh_worker=True,
            )
        if isinstance(error, LmeecError):
            camera = error.camera if isinstance(error, CameraError) else None
            cause = error.__cause__  # Pillow's complaints of broken files are OSErrors too, without a number
            return cls(str(error), retry=isinstance(cause, OSError) and cause.errno is not None, camera=camera)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return cls(f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})", fresh_worker=True)


def _is_out_of_gpu_memory(error: Exception) -> bool:
    torch = sys.modules.get("torch")  # who has not imported it met none of its errors
    return torch is not None and isinstance(error, torch.OutOfMemoryError)
