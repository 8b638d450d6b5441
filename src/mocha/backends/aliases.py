"""Values of a program that have no memory of their own."""

from __future__ import annotations

from mocha.graph import Program, Value


def find_aliases(program: Program) -> dict[Value, Value]:
    """Values without memory of their own -> the value whose memory they are: views, and new values of stored ones."""
    aliases: dict[Value, Value] = {}
    for node in program.nodes:
        if node.op.is_view:
            source = aliases.get(node.inputs[0], node.inputs[0])
            if node.outputs[0] not in program.memory.offsets:
                aliases[node.outputs[0]] = source
        aliases.update(node.updated())
    return aliases
