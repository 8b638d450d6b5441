"""Messages in protobuf's text format: ``.prototxt``.

A first walk over the words of the text knows the schema: it finds fields that no message has, and blanks them out, so
that what protobuf parses afterwards is Caffe's. Lines and columns stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from mocha.caffe.unknown import UnknownField, report
from mocha.errors import FormatError, did_you_mean

_WORD = re.compile(
    r"""(?P<space>(?:\s+|\#[^\n]*)+)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<name>[^\W\d]\w*)
    |(?P<number>[-+]?[\d.][\w.+-]*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"""\\(?:(?P<right>[abfnrtv"'\\]|[0-3][0-7]{0,2}|[4-7][0-7]?(?![0-7])|[xX][0-9a-fA-F]
    |u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})|.)""",
    re.VERBOSE | re.DOTALL,
)
_CLOSING = {"{": "}", "<": ">", "[": "]"}
_LAYERS = ("LayerParameter", "V1LayerParameter", "V0LayerParameter")
_MOST_UNKNOWN = 100_000
_PLACE = re.compile(r"^\d+:\d+ : ")


def parse_text(
    text: str, kind: Any, where: str, *, strict: bool = False, unknown: list[UnknownField] | None = None
) -> Any:
    """A message from its text.

    Args:
        text: the text.
        kind: the class of the message, from `mocha.caffe.proto.caffe_pb2`.
        where: the name of the file, for errors.
        strict: refuse fields that Caffe does not have. Otherwise they are passed over, whole, and noted.
        unknown: is extended by the fields that were passed over; None to give one warning for them all.

    Returns:
        An object of class `kind`.

    Raises:
        FormatError: the text is not of that format: file, line, column, and what stands there.
    """
    walk = _Walk(text, where, strict)
    clean = walk.run(kind.DESCRIPTOR)
    message = kind()
    try:
        text_format.Parse(clean, message)
    except text_format.ParseError as error:
        raise _refusal(text, where, error) from error
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise FormatError(f"{where}: this is no text of a {kind.DESCRIPTOR.name}: {error}. Check the file.") from error
    check_complete(message, where)
    report(walk.unknown(), unknown)
    return message


def to_text(message: Any) -> str:
    """A message as text that `parse_text` gives back."""
    return str(text_format.MessageToString(message))


def check_complete(message: Any, where: str) -> None:
    """A message must have its required fields: in Caffe's format only `ClipParameter` has some.

    Raises:
        FormatError: one is absent.
    """
    if not message.IsInitialized():
        missing = ", ".join(message.FindInitializationErrors())
        raise FormatError(f"{where}: required fields are absent: {missing}. Write them, each as `name: value`.")


def _refusal(text: str, where: str, error: text_format.ParseError) -> FormatError:
    line, column = error.GetLine() or 0, error.GetColumn() or 0
    lines = text.split("\n")
    here = lines[line - 1][max(column - 1, 0) :].strip() if 0 < line <= len(lines) else ""
    stands = f" There stands: {here[:60]!r}." if here else " There the file ends."
    return FormatError(f"{where}, line {line}, column {column}: {_PLACE.sub('', str(error))}{stands}")


class _Word(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


_END = _Word("end", "", -1, -1)


class _Frame(NamedTuple):
    """What the walk is inside of: a message, or a list of messages (`listed`) that ends with `closing`."""

    message: Descriptor
    closing: str
    path: str
    layer: list[str]
    listed: bool = False


class _Stop(Exception):
    """The text is malformed from here on. Protobuf, which reads up to here too, says how."""


class _Walk:
    """The walk over the text. It is a loop, and not recursive: nesting may be as deep as it likes."""

    def __init__(self, text: str, where: str, strict: bool) -> None:
        self.text, self.where, self.strict = text, where, strict
        self.words = self._words()
        self.word = next(self.words)
        self.end = 0  # of the word before
        self.holes: list[tuple[int, int]] = []
        self.found: list[tuple[int, str, list[str]]] = []

    def _words(self) -> Iterator[_Word]:
        for match in _WORD.finditer(self.text):
            if match.lastgroup == "string":
                self._check_escapes(match)
            if match.lastgroup != "space":
                yield _Word(str(match.lastgroup), match.group(), match.start(), match.end())
        while True:
            yield _END

    def _check_escapes(self, string: re.Match[str]) -> None:
        # Protobuf for Python takes wrong ones as they stand, Caffe's parser does not.
        for escape in _ESCAPE.finditer(string.group()):
            if escape["right"] is None:
                raise FormatError(
                    f"{self.place(string.start() + escape.start())}: no character is written {escape.group()}. A "
                    "backslash that is meant as one, as in a path of Windows, is written twice."
                )

    def take(self) -> _Word:
        word = self.word
        self.end = word.end
        self.word = next(self.words)
        return word

    def run(self, message: Descriptor) -> str:
        """The text with what is unknown blanked out."""
        stack = [_Frame(message, "", "", [""])]
        try:
            while self.word.kind != "end":
                if self.word.text == stack[-1].closing:
                    self.take()
                    stack.pop()
                elif self.word.text in (",", ";"):
                    self.take()
                elif stack[-1].listed:
                    stack.append(self.opened(stack[-1]))
                elif (inner := self.field(stack[-1])) is not None:
                    stack.append(inner)
        except _Stop:
            pass
        return self.blanked()

    def opened(self, frame: _Frame) -> _Frame:
        """A message of a list."""
        if self.word.text not in ("{", "<"):
            raise _Stop
        layer = [""] if frame.message.name in _LAYERS else frame.layer
        return frame._replace(closing=_CLOSING[self.take().text], layer=layer, listed=False)

    def field(self, frame: _Frame) -> _Frame | None:
        """Take a field's name, and its value unless that is a message: then what to walk next."""
        name = self.take()
        if name.kind != "name":
            raise _Stop
        field = frame.message.fields_by_name.get(name.text)
        if self.word.text == ":":
            self.take()
        if field is None:
            self.pass_over()
            if self.word.text in (",", ";"):
                self.take()
            self.note(name, frame)
            return None
        if field.message_type is not None and self.word.text in _CLOSING:
            path = f"{frame.path}{name.text}."
            layer = frame.layer
            if field.message_type.name in _LAYERS:
                path, layer = "", [""]
            opening = self.take().text
            return _Frame(field.message_type, _CLOSING[opening], path, layer, listed=opening == "[")
        if name.text == "name" and frame.message.name in _LAYERS and self.word.kind == "string":
            frame.layer[0] = self.word.text[1:-1]
        elif field.enum_type is not None:
            self.check_enum(name, field)
        self.pass_over()
        return None

    def check_enum(self, name: _Word, field: FieldDescriptor) -> None:
        assert field.enum_type is not None
        if self.word.kind == "name" and self.word.text not in field.enum_type.values_by_name:
            near = did_you_mean(self.word.text, field.enum_type.values_by_name)
            raise FormatError(f"{self.place(self.word.start)}: {name.text!r} cannot be {self.word.text!r}. {near}")

    def pass_over(self) -> None:
        """Take a value whole: a message or a list with all that is in it, or words of which a scalar is made."""
        if self.word.text in _CLOSING:
            open_: list[str] = []
            while True:
                word = self.take()
                if word.kind == "end":
                    raise _Stop
                if word.kind == "other" and word.text in _CLOSING:
                    open_.append(_CLOSING[word.text])
                elif word.kind == "other" and word.text in _CLOSING.values():
                    if word.text != open_.pop():
                        raise _Stop
                    if not open_:
                        return
        if self.word.text == "-":
            self.take()
        first = self.take()
        if first.kind not in ("string", "name", "number"):
            raise _Stop
        while first.kind == "string" and self.word.kind == "string":  # strings side by side are one
            self.take()

    def note(self, name: _Word, frame: _Frame) -> None:
        """An unknown field ends here."""
        if self.strict or len(self.found) >= _MOST_UNKNOWN:
            near = did_you_mean(name.text, frame.message.fields_by_name)
            raise FormatError(f"{self.place(name.start)}: {frame.message.name} has no field {name.text!r}. {near}")
        self.holes.append((name.start, self.end))
        self.found.append((name.start, frame.path + name.text, frame.layer))

    def place(self, at: int) -> str:
        line, column = self.text.count("\n", 0, at) + 1, at - self.text.rfind("\n", 0, at)
        return f"{self.where}, line {line}, column {column}"

    def blanked(self) -> str:
        parts, at = [], 0
        for start, end in self.holes:
            parts += [self.text[at:start], re.sub(r"[^\n]", " ", self.text[start:end])]
            at = end
        return "".join([*parts, self.text[at:]])

    def unknown(self) -> list[UnknownField]:
        """What was passed over; to be asked at the end, as a layer's name may stand after its other fields."""
        fields, line, at = [], 1, 0
        for start, path, layer in self.found:
            line += self.text.count("\n", at, start)
            at = start
            fields.append(UnknownField(self.where, layer[0], path, line))
        return fields
