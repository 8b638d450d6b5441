"""A net as a picture: a box a layer, an arrow a blob.

What a net tells of itself are plain records, made by whoever knows it (`mocha.net.picture`, `mocha.caffe.picture`).
"""

from __future__ import annotations

import dataclasses
import enum
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from mocha.console import visible
from mocha.graph.listing import shape_text
from mocha.ops import Shape
from mocha.visual.graphviz import check_direction, label_text, quoted


class Role(enum.Enum):
    """What kind of work a layer does: shape, colour and colour of the line of its box."""

    DATA = "cylinder", "#E6EEF6", "#4F7396"
    PRODUCT = "box", "#FFE9D6", "#C2611C"
    POOLING = "box", "#DFF1E2", "#3C8D4F"
    NORMALISING = "box", "#EFE6F7", "#7E57A6"
    POINTWISE = "box", "#FFF6D0", "#A38500"
    ARRANGING = "box", "#EEEEEE", "#757575"
    LOSS = "octagon", "#FADDDB", "#BF3A2B"
    MEASURE = "note", "#FBE5EF", "#AF3A77"
    OUTPUT = "folder", "#DCF1F4", "#26808F"
    OTHER = "box", "#F6F6F6", "#555555"


_FOLLOWERS = (Role.NORMALISING, Role.POINTWISE)
"""Layers that go into the box of the layer before them, where nobody else reads its blob."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerBox:
    """A layer.

    Attributes:
        name: its name.
        kind: its type.
        role: what kind of work it does.
        facts: its main properties, each a few words.
        bottoms: names of the blobs that come in, as they are when it is its turn.
        tops: names of the blobs that it makes, or changes.
        shapes: top -> its shape, of those that are known.
        parameters: how many numbers it learns, or could learn, of its own; None where that is unknown.
        statistics: how many it keeps beside them, as running means.
        shares: name of the layer of which it uses parameters, or "".
        frozen: whether none of its parameters learns.
    """

    name: str
    kind: str
    role: Role = Role.OTHER
    facts: Sequence[str] = ()
    bottoms: Sequence[str] = ()
    tops: Sequence[str] = ()
    shapes: Mapping[str, Shape] = dataclasses.field(default_factory=dict)
    parameters: int | None = 0
    statistics: int = 0
    shares: str = ""
    frozen: bool = False

    @property
    def keeps(self) -> bool:
        """Whether it has numbers to keep, its own or another layer's; guessed where that is unknown."""
        if self.parameters is None:
            return self.frozen or self.role in (Role.PRODUCT, Role.NORMALISING)
        return bool(self.parameters or self.statistics or self.shares)


@dataclasses.dataclass(frozen=True)
class NetPicture:
    """A net.

    Attributes:
        name: its name, the headline.
        boxes: its layers in running order.
        about: what is said below the name, each a few words.
    """

    name: str
    boxes: Sequence[LayerBox]
    about: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class _Version:
    """What a layer has made of a blob."""

    maker: int
    blob: str


def net_dot(picture: NetPicture, direction: str = "TB", *, blobs: bool = False) -> str:
    """A picture of a net in the language of Graphviz.

    Args:
        picture: the net.
        direction: where arrows lead: "TB" (top to bottom), "LR", "BT" or "RL".
        blobs: draw blobs as nodes too, and every layer as one; else normalisations and activations stand in the box of
            the layer before them, where nobody else reads what lies between.

    Raises:
        ConfigError: another direction.
    """
    check_direction(direction)
    read, readers = _flow(picture.boxes)
    home = list(range(len(picture.boxes))) if blobs else _homes(picture.boxes, read, readers)
    lines = [
        "digraph net {",
        f"  graph [rankdir={direction}, bgcolor=white, pad=0.25, nodesep=0.3, ranksep=0.45, labelloc=t,"
        f" fontname={_FONT}, label=<{_title(picture)}>];",
        f"  node [fontname={_FONT}, fontsize=11, style=filled, penwidth=1.2, margin=0.06];",
        f'  edge [fontname={_FONT}, fontsize=9, fontcolor="#444444", color="#666666", arrowsize=0.7];',
    ]
    for number in dict.fromkeys(home):
        members = [box for box, place in zip(picture.boxes, home, strict=True) if place == number]
        lines.append(_node(number, members))
    lines += _blob_nodes(picture.boxes, readers, read) if blobs else _arrows(picture.boxes, home, read)
    lines += _shared(picture.boxes, home)
    return "\n".join([*lines, "}"]) + "\n"


_FONT = '"Helvetica,Arial,sans-serif"'


# -- who reads what


def _flow(boxes: Sequence[LayerBox]) -> tuple[list[list[_Version]], dict[_Version, list[int]]]:
    """For each layer what it reads, and for each version of a blob its readers."""
    now: dict[str, _Version] = {}
    read: list[list[_Version]] = []
    readers: dict[_Version, list[int]] = {}
    for number, box in enumerate(boxes):
        read.append([now[bottom] for bottom in box.bottoms if bottom in now])
        for version in read[-1]:
            readers[version].append(number)
        for top in box.tops:
            now[top] = _Version(number, top)
            readers[now[top]] = []
    return read, readers


def _homes(
    boxes: Sequence[LayerBox], read: Sequence[Sequence[_Version]], readers: Mapping[_Version, Sequence[int]]
) -> list[int]:
    """For each layer the number of the first one in its box."""
    home: list[int] = []
    for number, box in enumerate(boxes):
        place = number
        if box.role in _FOLLOWERS and len(read[number]) == len(box.bottoms) == len(box.tops) == 1:
            (version,) = read[number]
            before = boxes[version.maker]
            if before.role is not Role.DATA and len(before.tops) == 1 and len(readers[version]) == 1:
                place = home[version.maker]
                others = [other for other, at in zip(boxes, home, strict=False) if at == place and other.keeps]
                if box.keeps and any(other.frozen != box.frozen for other in others):
                    place = number  # a box is frozen as a whole, or not
        home.append(place)
    return home


# -- lines


def _title(picture: NetPicture) -> str:
    about = f'<BR/><FONT POINT-SIZE="11" COLOR="#555555">{label_text(" · ".join(picture.about))}</FONT>'
    name = label_text(picture.name)
    gap = '<BR/><FONT POINT-SIZE="4"> </FONT>'
    return f'<FONT POINT-SIZE="18"><B>{name}</B></FONT>{gap}{about}<BR/> '


def _node(number: int, members: Sequence[LayerBox]) -> str:
    shape, fill, line = members[0].role.value
    styles = ["filled"] + ["rounded"] * (shape == "box") + ["dashed"] * any(box.frozen for box in members)
    rows = "<HR/>".join("".join(_rows(box, before)) for box, before in zip(members, [None, *members], strict=False))
    label = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3" COLOR="{line}">{rows}</TABLE>'
    told = quoted(", ".join(f"{visible(box.name)} ({visible(box.kind)})" for box in members))
    return (
        f'  n{number} [shape={shape}, style="{",".join(styles)}", fillcolor="{fill}", color="{line}",'
        f" tooltip={told}, label=<{label}>];"
    )


def _rows(box: LayerBox, before: LayerBox | None) -> Iterator[str]:
    """Name and type; properties; parameters and shape of one example, where it is another one than before."""
    line = box.role.value[2]
    kind = f"{box.kind}, in place" if box.tops and list(box.tops) == list(box.bottoms) else box.kind
    yield _row(f"<B>{label_text(box.name)}</B>", f'<FONT COLOR="{line}">{label_text(kind)}</FONT>')
    if box.facts:
        together = ", ".join(visible(fact).replace(" ", "\N{NO-BREAK SPACE}") for fact in box.facts)
        wrapped = textwrap.wrap(together, 36) or [""]
        text = "".join(f'{label_text(words)}<BR ALIGN="LEFT"/>' for words in wrapped)
        yield f'<TR><TD COLSPAN="3" ALIGN="LEFT" BALIGN="LEFT">{text}</TD></TR>'
    left = ", ".join(_kept(box))
    right = _example(box)
    if before is not None and right == _example(before):
        right = ""
    if left or right:
        yield _row(_small(left), _small(right))


def _kept(box: LayerBox) -> Iterator[str]:
    """What is told of the numbers that a layer keeps."""
    if box.parameters:
        yield f"{box.parameters:,} parameters"
    if box.statistics:
        yield f"{box.statistics:,} running statistics"
    if box.shares:
        yield f"shares {box.shares}'s"
    if box.frozen:
        yield "frozen"


def _example(box: LayerBox) -> str:
    """The shapes of what is made for one example."""
    return ", ".join(dict.fromkeys(shape_text(shape[1:]) for shape in box.shapes.values() if len(shape) > 1))


def _row(left: str, right: str) -> str:
    return f'<TR><TD ALIGN="LEFT">{left}</TD><TD WIDTH="12"></TD><TD ALIGN="RIGHT">{right}</TD></TR>'


def _small(text: str) -> str:
    return f'<FONT POINT-SIZE="9" COLOR="#555555">{label_text(text)}</FONT>' if text else ""


def _words(box: LayerBox, blob: str) -> str:
    """A blob's name and shape, one above the other."""
    shape = shape_text(box.shapes[blob]) if blob in box.shapes else ""
    return "\n".join(filter(None, (visible(blob), shape)))


def _arrows(boxes: Sequence[LayerBox], home: Sequence[int], read: Sequence[Sequence[_Version]]) -> Iterator[str]:
    """From box to box; of several arrows of one blob the first says its name."""
    told = set[_Version]()
    for number, versions in enumerate(read):
        for version in versions:
            if home[version.maker] == home[number]:
                continue
            words = _words(boxes[version.maker], version.blob)
            said = f"tooltip={quoted(words)}, labeltooltip={quoted(words)}"
            if version not in told:
                said += f', label="{_aside(words)}"'
            told.add(version)
            yield f"  n{home[version.maker]} -> n{home[number]} [{said}];"


def _aside(words: str) -> str:
    """Lines set flush left, a little away from their arrow, as they stand within quotes."""
    return "".join(f"  {quoted(line)[1:-1]}\\l" for line in words.split("\n"))


def _blob_nodes(
    boxes: Sequence[LayerBox], readers: Mapping[_Version, Sequence[int]], read: Sequence[Sequence[_Version]]
) -> Iterator[str]:
    for number, version in enumerate(readers):
        words = quoted(_words(boxes[version.maker], version.blob))
        yield f'  b{number} [label={words}, shape=oval, fillcolor=white, color="#999999", fontsize=10];'
        yield f"  n{version.maker} -> b{number};"
    numbers = {version: number for number, version in enumerate(readers)}
    for layer, versions in enumerate(read):
        for version in versions:
            yield f"  b{numbers[version]} -> n{layer};"


def _shared(boxes: Sequence[LayerBox], home: Sequence[int]) -> Iterator[str]:
    """Dotted lines between layers with the same parameters."""
    places = {box.name: place for box, place in zip(reversed(boxes), reversed(home), strict=True)}
    for box, place in zip(boxes, home, strict=True):
        if box.shares in places and places[box.shares] != place:
            yield f'  n{places[box.shares]} -> n{place} [style=dotted, dir=none, constraint=false, color="#C2611C"];'
