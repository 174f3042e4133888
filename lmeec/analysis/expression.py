"""SQL expressions over rows of a results table: which rows one is true of, computed by DuckDB.

An expression may come from a file or a form, so that it may do nothing but look at columns: it is parsed first and
refused unless it is one expression without subqueries, of functions that only compare and compute values. DuckDB gets
the rows from memory, and may neither open files or connections nor load extensions.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from lmeec.errors import ConfigError
from lmeec.extras import how_to_install
from lmeec.files.reading import in_short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb
    import pyarrow as pa
    from numpy.typing import NDArray

LONGEST = 10_000
"""Characters of an expression."""

_CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "python_enable_replacements": False,  # names of tables would be those of variables here
    "threads": 1,
    "memory_limit": "1GB",
}
FUNCTIONS = frozenset(
    (
        *(
            "+",
            "-",
            "*",
            "/",
            "//",
            "%",
            "^",
            "**",
            "||",
            "@",
            "abs",
            "sign",
            "mod",
            "round",
            "floor",
            "ceil",
            "ceiling",
        ),
        *(
            "sqrt",
            "exp",
            "ln",
            "log",
            "log2",
            "log10",
            "pow",
            "power",
            "least",
            "greatest",
            "isnan",
            "isinf",
            "isfinite",
        ),
        *("~~", "!~~", "~~*", "!~~*", "like_escape", "not_like_escape", "ilike_escape", "not_ilike_escape", "^@"),
        *("lower", "upper", "length", "len", "trim", "ltrim", "rtrim", "substring", "substr", "left", "right"),
        *("starts_with", "ends_with", "prefix", "suffix", "contains", "position", "strpos", "instr"),
        *("regexp_matches", "regexp_full_match", "array_extract", "list_extract", "list_contains", "list_value"),
    )
)
"""What an expression may call. Others have effects or another value each time, or fill memory (`repeat`)."""

_FORBIDDEN = {"SUBQUERY": "a subquery", "STAR": "`*`", "PARAMETER": "a parameter", "LAMBDA": "a function of its own"}


class Expression:
    """A condition on rows; a context manager, as it owns an empty database in memory.

    Args:
        text: the condition, as DuckDB writes it, such as `cycle_iou > 0.7 and object like 'cup%'`.
        schema: columns that it may speak of.

    Raises:
        ConfigError: it is no condition of these columns, or it does more than to look at them; or DuckDB is not
            installed.

    Example:
        >>> import pyarrow as pa
        >>> rows = pa.table({"object": ["cup", "pan"], "cycle_iou": [0.9, None]})
        >>> with Expression("cycle_iou > 0.7", rows.schema) as condition:
        ...     condition.of(rows)
        (array([ True, False]), 1)
    """

    def __init__(self, text: str, schema: pa.Schema) -> None:
        self.text = text
        self._schema = schema
        if len(text) > LONGEST:
            raise ConfigError(f"`where` has {len(text):,} characters, at most {LONGEST:,}", settings=["where"])
        if not text.strip():
            raise self._refusal("is empty")
        if "\0" in text:
            raise self._refusal("holds a NUL character")
        self._database = _closed_database()
        try:
            self._check()
        except BaseException:
            self._database.close()
            raise

    def of(self, rows: pa.Table) -> tuple[NDArray[np.bool_], int]:
        """Say of which rows it is true.

        Args:
            rows: with the columns of the schema.

        Returns:
            bool [rows], and of how many it is neither true nor false, as a column is null there.

        Raises:
            ConfigError: it cannot be computed of a row.
        """
        self._database.register("rows", rows.select(self._schema.names))
        try:
            found = self._database.execute(f"SELECT (\n{self.text}\n) AS kept FROM rows").fetchnumpy()
        except Exception as error:
            raise self._refusal(f"cannot be computed: {_said(error)}") from error
        kept = cast("NDArray[np.bool_]", found["kept"])
        unknown = np.ma.getmaskarray(kept)
        return np.asarray(np.ma.filled(kept, fill_value=False), dtype=np.bool_), int(unknown.sum())

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def __enter__(self) -> Expression:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _check(self) -> None:
        condition = self._parsed()
        for part in _parts(condition):
            if what := _FORBIDDEN.get(str(part.get("class"))):
                raise self._refusal(f"holds {what}; it may speak of a row's own columns only")
            if (name := part.get("function_name")) is not None and name not in FUNCTIONS:
                raise self._refusal(f"calls {name}(), which is not among the functions that are allowed")
        self._database.register("rows", self._schema.empty_table())
        try:
            # As a condition, which forbids sums over rows; and as a value, which has a type.
            self._database.sql(f"SELECT 1 FROM rows WHERE (\n{self.text}\n)")
            kind = str(self._database.sql(f"SELECT (\n{self.text}\n) AS kept FROM rows").types[0])
        except Exception as error:
            raise self._refusal(f"is no condition on a row: {_said(error)}") from error
        if kind != "BOOLEAN":
            raise self._refusal(f"is no condition: it has values of type {kind}, and not true or false")

    def _parsed(self) -> Any:
        """The condition's parts; nothing else is in the query around it."""
        found, plain = self._serialised(self.text), self._serialised("true")
        if found["error"]:
            raise self._refusal(f"is not understood: {in_short(str(found.get('error_message')))}")
        try:
            condition = found["statements"][0]["node"].pop("where_clause")
            plain["statements"][0]["node"].pop("where_clause")
        except (LookupError, TypeError):
            condition = None
        if condition is None or found != plain:
            raise self._refusal("is more than one condition")
        return condition

    def _serialised(self, condition: str) -> Any:
        query = f"SELECT 1 FROM rows WHERE (\n{condition}\n)"
        try:
            ((text,),) = self._database.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()
            return json.loads(text)
        except Exception as error:  # DuckDB's, of text that is none, and of what is nested deeply
            raise self._refusal(f"is not understood: {_said(error)}") from error

    def _refusal(self, reason: str) -> ConfigError:
        columns = f". Columns are {', '.join(self._schema.names)}"
        said = f"`where` ({in_short(self.text, 60)}) {reason}"
        return ConfigError(said if len(said) + len(columns) > 480 else said + columns, settings=["where"])


def _closed_database() -> duckdb.DuckDBPyConnection:
    try:
        import duckdb
    except ImportError as error:
        raise ConfigError(f"`where` needs DuckDB, which is not installed: {how_to_install('select')}") from error
    database = duckdb.connect(":memory:", config=_CLOSED)
    database.execute("SET lock_configuration = true")
    return database


def _parts(value: Any) -> Iterator[Mapping[str, Any]]:
    """All parts of a parsed expression."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _said(error: Exception) -> str:
    return in_short(str(error).partition("\n\n")[0], 160)
