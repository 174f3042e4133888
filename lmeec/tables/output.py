"""What belongs to the results of a run: the table, its parts, and the list of what is not in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmeec.errors import OutputError
from lmeec.files.locations import location

if TYPE_CHECKING:
    from lmeec.files.locations import Location


@dataclass(frozen=True, slots=True)
class Output:
    """The results of a run: one file, or a folder with one file a take and direction.

    Attributes:
        path: the file or folder.
        partitioned: whether it is a folder.
    """

    path: Location
    partitioned: bool

    @classmethod
    def of(cls, where: Location | str | Output) -> Output:
        """A name that ends in a slash, and a folder that is there already, mean a folder.

        Raises:
            OutputError: no file can have that name, or it may not be looked at.

        Example:
            >>> Output.of("night/").partitioned, Output.of("night.parquet").partitioned
            (True, False)
        """
        if isinstance(where, Output):
            return where
        if isinstance(where, str) and where.endswith("/"):
            return cls(location(where.rstrip("/")), partitioned=True)
        place = location(where)
        try:
            return cls(place, partitioned=place.is_dir())
        except OSError as error:  # as of a name that is too long, or of a folder that may not be looked into
            raise OutputError(f"{place} cannot be used: {error.strerror or error}") from error

    def absolute(self) -> Output:
        """The same, whatever folder a process is in."""
        return Output(self.path.absolute(), self.partitioned)

    @property
    def parts(self) -> Location:
        """The folder of the parts, `OUT.parts`."""
        return self.path.with_name(self.path.name + ".parts")

    @property
    def failures(self) -> Location:
        """The list of what is not in the results, `OUT.failures.json`."""
        return self.path.with_name(self.path.name + ".failures.json")

    @property
    def trace(self) -> Location:
        """Who did what and when, `OUT.trace.parquet`."""
        return self.path.with_name(self.path.name + ".trace.parquet")

    def __str__(self) -> str:
        return f"{self.path}/" if self.partitioned else str(self.path)
