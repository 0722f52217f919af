#!/usr/bin/env python3
"""Draws docs/pictures/*.txt as *.svg beside them, readable on light and on dark pages.

  hack/picture.py             draws all of them
  hack/picture.py --check     says which are not as they would be drawn, and exits with 1

A text has one thing a line; what is said in the picture stands behind a bar, one line of it after another:

  size WIDTH HEIGHT | what the picture shows, for those who do not see it
  box STYLE X Y WIDTH HEIGHT | title | line…       STYLE: node, bridge, part, host
  wire X Y WIDTH | title                           a network segment
  arrow STYLE X,Y X,Y… | label                     STYLE: there, back, tells; the label stands beside its first leg
  note X Y | line…

Numbers are pixels; words that break over lines are broken by the writer.
"""

import html
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "docs" / "pictures"

STYLE = """
  .page { fill: #ffffff } .frame { stroke-width: 1.5 }
  .node { fill: #f6f8fa; stroke: #8c959f } .bridge { fill: #ddf4ff; stroke: #0969da }
  .part { fill: #fff8c5; stroke: #9a6700 } .host { fill: #ffffff; stroke: #57606a }
  .wire { stroke: #57606a; stroke-width: 5 } .arrow { fill: none; stroke-width: 2.5 }
  .there { stroke: #0969da } .back { stroke: #1a7f37 } .tells { stroke: #9a6700; stroke-dasharray: 6 4 }
  .there-head { fill: #0969da } .back-head { fill: #1a7f37 } .tells-head { fill: #9a6700 }
  text { font: 13px ui-sans-serif, "Segoe UI", "DejaVu Sans", "Noto Sans CJK SC", "WenQuanYi Micro Hei", sans-serif; fill: #1f2328 }
  .title { font-weight: 600 } .quiet { fill: #57606a }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .node { fill: #161b22; stroke: #6e7681 } .bridge { fill: #0c2d6b; stroke: #58a6ff }
    .part { fill: #3b2e00; stroke: #d29922 } .host { fill: #0d1117; stroke: #8b949e } .wire { stroke: #8b949e }
    .there { stroke: #58a6ff } .back { stroke: #3fb950 } .tells { stroke: #d29922 }
    .there-head { fill: #58a6ff } .back-head { fill: #3fb950 } .tells-head { fill: #d29922 }
    text { fill: #e6edf3 } .quiet { fill: #9198a1 }
  }"""

LINE = 18  # from one line of text to the next


def words(x, y, lines, first="title"):
    """Lines of text, the first of which has a style of its own."""
    for number, line in enumerate(lines):
        style = first if number == 0 else "quiet"
        yield f'<text class="{style}" x="{x:g}" y="{y + number * LINE:g}">{html.escape(line, quote=False)}</text>'


def box(style, x, y, width, height, *lines):
    x, y = float(x), float(y)
    yield f'<rect class="frame {style}" x="{x:g}" y="{y:g}" width="{width}" height="{height}" rx="6"/>'
    yield from words(x + 10, y + 20, lines)


def wire(x, y, width, *lines):
    x, y = float(x), float(y)
    yield f'<line class="wire" x1="{x:g}" y1="{y:g}" x2="{x + float(width):g}" y2="{y:g}"/>'
    yield from words(x, y - 10, lines)


def arrow(style, *rest):
    points = [tuple(float(part) for part in point.split(",")) for point in rest if "," in point and point[0].isdigit()]
    labels = rest[len(points) :]
    path = " ".join(f"{'ML'[number > 0]}{x:g} {y:g}" for number, (x, y) in enumerate(points))
    yield f'<path class="arrow {style}" d="{path}" marker-end="url(#{style})"/>'
    (x1, y1), (x2, y2) = points[0], points[1]
    level = abs(x2 - x1) > abs(y2 - y1)
    yield from words(min(x1, x2) + 8 if level else x1 + 8, y1 - 8 if level else (y1 + y2) / 2 + 4, labels, "quiet")


def note(x, y, *lines):
    yield from words(float(x), float(y), lines, "quiet")


DRAWN = {"box": box, "wire": wire, "arrow": arrow, "note": note}


def head(style):
    return (
        f'<marker id="{style}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5" markerHeight="5" orient="auto">'
        f'<path class="{style}-head" d="M0 0L8 4L0 8z"/></marker>'
    )


def drawn(text, name):
    width = height = shown = None
    body = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        what, *said = [part.strip() for part in line.split("|")]
        verb, *numbers = what.split()
        try:
            if verb == "size":
                (width, height), (shown,) = numbers, said
            else:
                body.extend(DRAWN[verb](*numbers, *said))
        except (KeyError, TypeError, ValueError) as error:
            sys.exit(f"{name}:{number}: cannot be drawn ({error}): see the head of hack/picture.py")
    shown = html.escape(shown)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" aria-label="{shown}">',
            f"<!-- Drawn by hack/picture.py from {name}: change that one. -->",
            f"<title>{shown}</title>",
            f"<style>{STYLE}\n</style>",
            "<defs>" + "".join(head(style) for style in ("there", "back", "tells")) + "</defs>",
            f'<rect class="page" width="{width}" height="{height}"/>',
            *body,
            "</svg>",
            "",
        ]
    )


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        print(__doc__.strip())
        sys.exit(0 if sys.argv[1:] == ["--help"] else 2)
    stale = []
    for text in sorted(FOLDER.glob("*.txt")):
        picture = text.with_suffix(".svg")
        wanted = drawn(text.read_text(encoding="utf-8"), text.name)
        if picture.exists() and picture.read_text(encoding="utf-8") == wanted:
            continue
        stale.append(picture.name)
        if sys.argv[1:] == []:
            picture.write_text(wanted, encoding="utf-8")
            print(f"drew docs/pictures/{picture.name}")
    if sys.argv[1:] == ["--check"] and stale:
        sys.exit(f"not as their texts say: {', '.join(stale)}: run hack/picture.py")


main()
