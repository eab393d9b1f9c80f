"""Figures as plain text and as Markdown."""

from __future__ import annotations

import textwrap

from tests.bench.figures import FLEETD, FLOOR, Figure, Figures

GAP = "  "
WIDTH = 120  # of remarks


def number(value: float) -> str:
    """Three digits that count, and never an exponent."""
    if value == 0:
        return "0"
    size = abs(value)
    digits = 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3 if size >= 0.09995 else 4
    return f"{value:,.{digits}f}"


def as_text(figures: Figures, case: str) -> str:
    """The table of a case: a line for each measure, then its spread and its ratios to the floor and to fleetd."""
    contenders = figures.contenders(case)
    rows = [[case, *contenders]]
    for measure in figures.measures(case):
        found = [figures.get(case, measure, contender) for contender in contenders]
        rows.append([measure, *map(_cell, found)])
        if any(figure is not None and len(figure.values) > 1 for figure in found):
            rows.append(["  from .. to", *map(_spread, found)])
        for other in (FLOOR, FLEETD):
            ratios = [figures.ratio(case, measure, contender, other) for contender in contenders]
            if sum(ratio is not None for ratio in ratios) > 1:
                rows.append([f"  x {other}", *("" if ratio is None else number(ratio) for ratio in ratios)])
    return "\n".join([*_aligned(rows), *_remarks(figures, case)])


def as_markdown(figures: Figures) -> str:
    """A table for each case: medians, and how many times those of the others fleetd's are."""
    parts: list[str] = []
    for case in figures.cases():
        contenders = figures.contenders(case)
        others = [contender for contender in contenders if not contender.startswith(FLEETD)]
        head = [case, *contenders, f"fleetd / {', '.join(others)}"]
        lines = [_row(head), "|---" * len(head) + "|"]
        for measure in figures.measures(case):
            cells = [_cell(figures.get(case, measure, contender)) for contender in contenders]
            ratios = [figures.ratio(case, measure, FLEETD, other) for other in others]
            told = ["-" if ratio is None else number(ratio) for ratio in ratios] if any(ratios) else []
            lines.append(_row([measure, *cells, ", ".join(told)]))
        parts.append("\n".join([*lines, "", *_remarks(figures, case)]))
    return "\n\n".join(parts)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if figure.failed:
        return "failed"
    return "" if figure.median is None else number(figure.median)


def _spread(figure: Figure | None) -> str:
    if figure is None or figure.failed or len(figure.values) < 2:
        return ""
    return f"{number(min(figure.values))} .. {number(max(figure.values))}"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        GAP.join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return [
        lines[0].rstrip(),
        "-" * (sum(widths) + len(GAP) * (len(widths) - 1)),
        *(line.rstrip() for line in lines[1:]),
    ]


def _remarks(figures: Figures, case: str) -> list[str]:
    failures: dict[tuple[str, str], list[str]] = {}
    for figure in figures:
        if figure.case == case and figure.failed:
            failures.setdefault((figure.contender, figure.failed), []).append(figure.measure)
    told = [f"failed: {contender} ({'; '.join(measures)}): {why}" for (contender, why), measures in failures.items()]
    return [line for remark in (*figures.notes.get(case, []), *told) for line in textwrap.wrap(remark, WIDTH)]
