"""The rule that `lmeec fuse` and `lmeec select` go by: fitted now, or read from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmeec_cli.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lmeec.analysis.expected_iou import IouRule


def rule_of(fit: Sequence[str], file: Path | None, *, overwrite: bool) -> IouRule | None:
    """Fit a rule and write its file, or read it; None where neither is asked for.

    Args:
        fit: tables to fit on.
        file: where the rule is, or goes.
        overwrite: replace an existing file.

    Raises:
        LmeecError: tables or file cannot be used.
    """
    if not fit:
        if file is None:
            return None
        from lmeec.analysis.expected_iou import read_iou_rule

        return read_iou_rule(file)
    from lmeec.analysis.expected_iou import fit_iou_rule
    from lmeec.tables import check_free

    if file is not None:
        check_free(file, overwrite=overwrite)
    rule = fit_iou_rule(fit)
    if file is not None:
        rule.write(file)
        echo(f"wrote {file}", err=True)
    for direction, scores in rule.scores.items():
        half, whole = (100 * scores[name] for name in ("iou_of_best_half", "iou"))
        echo(
            f"rule of {direction}, cross-validated over takes: IoU of the best half {half:.1f}, of all {whole:.1f}; "
            f"area under the risk-coverage curve {scores['aurc']:.3f}",
            err=True,
        )
    return rule
