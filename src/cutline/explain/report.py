"""HTML report: scores on top, then pictures with their captions."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from cutline.explain.cards import Look, ReportEntry, card
from cutline.explain.document import HOW_TO_READ, KEYS, document, escape
from cutline.files import check_free, write_text

__all__ = ["ReportEntry", "write_report"]

_LOOK = Look(photo=384, line=320, thumbnail=128, folded=True)


def write_report(
    entries: Iterable[ReportEntry],
    path: str | Path,
    *,
    title: str,
    summary: Mapping[str, str],
    overwrite: bool = False,
) -> None:
    """Write the report; `summary` maps the name of a score to its value as text."""
    check_free(path, overwrite=overwrite)
    cards = "\n".join(card(entry, _LOOK) for entry in entries)
    page = document(
        title,
        kind="report",
        lead=_scores(summary) + f'<p class="hint keys">{KEYS}</p>',
        body=f'<div class="cards">\n{cards}\n</div>',
        footer=HOW_TO_READ,
    )
    write_text(path, page, overwrite=overwrite)


def _scores(summary: Mapping[str, str]) -> str:
    if not summary:
        return ""
    rows = (
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in summary.items()
    )
    return f'<dl class="scores">{"".join(rows)}</dl>'
