"""How the view looks on a terminal: its colours, and the shapes that say the same without any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from msgspec import Struct
from rich.color import ColorSystem
from rich.style import Style

from fleetd.tui.documents import Shape
from fleetd.tui.lines import Line, Span, Tone, columns


class Glyphs(Struct, frozen=True):
    """The characters beside letters and digits; each takes one column."""

    shapes: Mapping[Shape, str]
    chosen: str  # before the row that is selected
    full: str  # of a bar
    empty: str
    sparks: str  # from low to high; the first stands for nothing
    good: str
    bad: str
    down: str  # sorted, the greatest below
    up: str
    dot: str


UNICODE = Glyphs(
    shapes=MappingProxyType(
        {
            Shape.BUSY: "●",
            Shape.IDLE: "○",
            Shape.RUNNING: "◆",
            Shape.STARTING: "▲",
            Shape.DRAINING: "▼",
            Shape.BACKOFF: "!",
            Shape.WAITING: "~",
            Shape.STOPPED: "·",
            Shape.GIVEN_UP: "✗",
            Shape.UNKNOWN: "?",
        }
    ),
    chosen="▸", full="█", empty="░", sparks=" ▁▂▃▄▅▆▇█", good="✓", bad="✗", down="▾", up="▴", dot="·",
)  # fmt: skip
ASCII = Glyphs(
    shapes=MappingProxyType(
        {
            Shape.BUSY: "#",
            Shape.IDLE: "o",
            Shape.RUNNING: "=",
            Shape.STARTING: "^",
            Shape.DRAINING: "v",
            Shape.BACKOFF: "!",
            Shape.WAITING: "~",
            Shape.STOPPED: ".",
            Shape.GIVEN_UP: "X",
            Shape.UNKNOWN: "?",
        }
    ),
    chosen=">", full="#", empty="-", sparks=" .:-=+*%#", good="+", bad="x", down="v", up="^", dot="|",
)  # fmt: skip

# Of terminals with 256 colours and more: readable on dark grounds and on light ones.
_MANY: Mapping[Tone, str] = {
    Tone.DIM: "#8a8a8a",
    Tone.STRONG: "bold",
    Tone.TITLE: "bold #ffffff on #005f87",
    Tone.HEAD: "bold #d0d0d0 on #3a3a3a",
    Tone.KEY: "bold #00afd7",
    Tone.GOOD: "#5faf5f",
    Tone.WORRYING: "#d7875f",
    Tone.BAD: "bold #ff5f5f",
    Tone.ALARM: "bold #ffffff on #af0000",
    Tone.ASKING: "bold #000000 on #ffd75f",
    Tone.FIGURE: "#5fafd7",
    Tone.BUSY: "bold #00afd7",
    Tone.IDLE: "#5faf5f",
    Tone.RUNNING: "#5faf5f",
    Tone.STARTING: "#d7af00",
    Tone.DRAINING: "#af87d7",
    Tone.BACKOFF: "bold #ff8700",
    Tone.WAITING: "#d7af00",
    Tone.STOPPED: "#8a8a8a",
    Tone.GIVEN_UP: "bold #ff5f5f",
    Tone.UNKNOWN: "#8a8a8a",
}
_FEW: Mapping[Tone, str] = {
    Tone.DIM: "bright_black",
    Tone.STRONG: "bold",
    Tone.TITLE: "bold white on blue",
    Tone.HEAD: "bold reverse",
    Tone.KEY: "bold cyan",
    Tone.GOOD: "green",
    Tone.WORRYING: "yellow",
    Tone.BAD: "bold red",
    Tone.ALARM: "bold white on red",
    Tone.ASKING: "black on yellow",
    Tone.FIGURE: "cyan",
    Tone.BUSY: "bold cyan",
    Tone.IDLE: "green",
    Tone.RUNNING: "green",
    Tone.STARTING: "yellow",
    Tone.DRAINING: "magenta",
    Tone.BACKOFF: "bold yellow",
    Tone.WAITING: "yellow",
    Tone.STOPPED: "bright_black",
    Tone.GIVEN_UP: "bold red",
    Tone.UNKNOWN: "bright_black",
}
_NONE: Mapping[Tone, str] = {
    Tone.STRONG: "bold",
    Tone.TITLE: "bold reverse",
    Tone.HEAD: "reverse",
    Tone.KEY: "bold",
    Tone.BAD: "bold",
    Tone.ALARM: "bold reverse",
    Tone.ASKING: "bold reverse",
    Tone.BUSY: "bold",
    Tone.BACKOFF: "bold",
    Tone.GIVEN_UP: "bold",
}
_MOST_OF_FEW = 16  # colours


class Look(Struct, frozen=True):
    """The styles by tone, and of the row that is selected, for a terminal with these colours; and the glyphs."""

    glyphs: Glyphs
    styles: Mapping[Tone, Style]
    selected: Style
    is_unicode: bool = True

    def painted(self, line: Line, width: int) -> str:
        """The line as it is written to the terminal, `width` columns long at most; ends in plain style.

        After text that terminals may think wider or narrower than we do, the cursor is put where it should be.
        """
        ground = self.selected if line.is_selected else self.styles.get(line.ground or Tone.PLAIN, _PLAIN)
        parts: list[str] = []
        column = 0
        for text, tone in line.spans:
            if not text:
                continue
            style = ground + self.styles.get(tone, _PLAIN) if tone is not Tone.PLAIN else ground
            parts.append(self._styled(text, style))
            column += columns(text)
            if not text.isascii() and column < width:
                parts.append(f"\x1b[{column + 1}G")
        if column < width and (line.is_selected or line.ground is not None):
            parts.append(self._styled(" " * (width - column), ground))
        found = "".join(parts)
        return found if self.is_unicode else found.replace("…", "~").encode("ascii", "replace").decode()

    def _styled(self, text: str, style: Style) -> str:
        return style.render(text, color_system=ColorSystem.TRUECOLOR)  # its colours are the terminal's already


_PLAIN = Style()


def look_of(term: str, colorterm: str = "", *, no_color: bool = False, unicode: bool = True) -> Look:
    """The look for a terminal, by TERM, COLORTERM, NO_COLOR, and whether it takes UTF-8."""
    system = None if no_color else _system_of(term, colorterm)
    if system is None:
        texts, selected = _NONE, "reverse"
    elif system is ColorSystem.STANDARD:
        texts, selected = _FEW, "white on blue"
    else:
        texts, selected = _MANY, "#ffffff on #264f78"
    styles = {tone: _style(text, system) for tone, text in texts.items()}
    return Look(UNICODE if unicode else ASCII, styles, _style(selected, system), unicode)


def _style(text: str, system: ColorSystem | None) -> Style:
    """With the nearest colours that the terminal has; without any, the texts name none."""
    style = Style.parse(text)
    if system is None:
        return style
    color, ground = (None if each is None else each.downgrade(system) for each in (style.color, style.bgcolor))
    return Style(color=color, bgcolor=ground, bold=style.bold, reverse=style.reverse)


def _system_of(term: str, colorterm: str) -> ColorSystem | None:
    if term.startswith(("vt1", "vt2", "vt3", "xterm-mono")):
        return None
    if colorterm.strip().lower() in {"truecolor", "24bit"} or term.endswith("-direct"):
        return ColorSystem.TRUECOLOR
    return ColorSystem.EIGHT_BIT if "256" in term or term.startswith(_RICH) else ColorSystem.STANDARD


_RICH = ("xterm-kitty", "alacritty", "foot", "wezterm", "xterm-ghostty")


# -- pieces of lines ---------------------------------------------------------------------------------------------------

TONES: Mapping[Shape, Tone] = {shape: Tone(shape.value) for shape in Shape}
_ORDER = tuple(Shape)


def strip(shapes: Sequence[Shape], tally: Mapping[Shape, int], look: Look, width: int) -> list[Span]:
    """Each worker as a glyph, in the order of its slots; the number of each shape where they are more than columns."""
    glyphs = look.glyphs.shapes
    if len(shapes) <= width:
        return _runs(shapes, glyphs)
    spans: list[Span] = []
    for shape in _ORDER:
        if tally.get(shape):
            spans += [Span(f"{glyphs[shape]}{tally[shape]}", TONES[shape]), Span(" ")]
    return spans


def _runs(shapes: Sequence[Shape], glyphs: Mapping[Shape, str]) -> list[Span]:
    """Neighbours of one shape are one span."""
    if not shapes:
        return []
    edges = [0, *(i for i in range(1, len(shapes)) if shapes[i] is not shapes[i - 1]), len(shapes)]
    return [Span(glyphs[shapes[a]] * (b - a), TONES[shapes[a]]) for a, b in pairwise(edges)]


def sparkline(values: Sequence[int] | None, look: Look, width: int) -> list[Span]:
    """The last values as bars, the newest at the right end; "-" where nothing is told."""
    if values is None:
        return [Span("-", Tone.DIM)]
    sparks = look.glyphs.sparks
    shown = [max(0, value) for value in values[-width:]] if width > 0 else []
    highest = max(shown, default=0)
    text = "".join(sparks[0 if not value else 1 + (value * (len(sparks) - 2)) // highest] for value in shown)
    if not highest:
        text = look.glyphs.sparks[1] * len(shown)
    return [Span(" " * (width - len(text))), Span(text, Tone.FIGURE if highest else Tone.DIM)]


def bar(done: int, total: int, look: Look, width: int, tone: Tone = Tone.GOOD) -> list[Span]:
    """How much of it is done."""
    share = min(1.0, max(0.0, done / total)) if total > 0 else 0.0
    full = int(share * width)
    return [Span(look.glyphs.full * full, tone), Span(look.glyphs.empty * (width - full), Tone.DIM)]
