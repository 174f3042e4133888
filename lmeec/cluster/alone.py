"""A Ray cluster of this machine alone: nobody else reaches it, reads its token, or finds what it left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import ray._private.ray_constants as constants

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = "lock"
_SOON_S = 60.0


@contextlib.contextmanager
def on_loopback() -> Iterator[None]:
    """Have the cluster that is started meanwhile listen on the loopback, rather than on every interface.

    Ray takes the machine's own address even where 127.0.0.1 is asked for, but where it knows of no other machine, as it
    does on macOS, to which it offers no switch.
    """
    before = constants.ENABLE_RAY_CLUSTER
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


def keep_token_private() -> None:
    """See that nobody else on this machine reads the token that lets a program use clusters of this user.

    Ray makes it with the permissions that files usually have.
    """
    if "RAY_AUTH_TOKEN" in os.environ or os.environ.get("RAY_AUTH_MODE") == "disabled":
        return
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    with contextlib.suppress(OSError):  # a home that cannot be written is what Ray itself then tells of
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            mode = path.stat().st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                path.chmod(stat.S_IMODE(mode) & stat.S_IRWXU)
            return
        with os.fdopen(made, "w") as file:
            file.write(secrets.token_hex(32))


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for the logs and sockets of a cluster, which is gone afterwards; what killed runs left is removed.

    Raises:
        OSError: it cannot be made.
    """
    # Not TMPDIR, which may be long: the path of a socket may have 107 bytes.
    root = Path(os.environ.get("RAY_TMPDIR") or "/tmp") / f"lmeec-ray-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    found = root.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{root} is not a folder of this user's: remove it")
    _remove_left(root)
    folder = Path(tempfile.mkdtemp(prefix="", dir=root))
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_left(root: Path) -> None:
    """Remove folders that no run holds; one without a lock may be about to get it."""
    for folder in root.iterdir():
        with contextlib.suppress(OSError):
            if not (folder / _LOCK).exists():
                if time.time() - folder.stat().st_mtime > _SOON_S:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            with (folder / _LOCK).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
