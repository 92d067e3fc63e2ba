"""The text of a config, which MMEngine asks for five times before training begins.

Its formatter, yapf, weighs every place where a line could break: 0.3 to 1 s of each start. Here a
value stands on one line where it fits, and otherwise each of its items does, as rich prints data.
"""

import ast
from functools import lru_cache, wraps
from typing import Any

from mmengine.config import config as mmengine_config
from rich.pretty import Node

_WIDTH = 88


def format_quickly() -> None:
    """Let MMEngine lay out the text of any config by :func:`lay_out`; harmless when repeated."""
    plain = mmengine_config.FormatCode
    if hasattr(plain, '__wrapped__'):
        return

    @wraps(plain)
    def format_code(text: str, **style: Any) -> tuple[str, bool]:
        laid_out = lay_out(text)
        return laid_out, laid_out != text

    mmengine_config.FormatCode = format_code


@lru_cache(maxsize=1)
def lay_out(text: str) -> str:
    """A config's text with the same statements, each value over as many lines as it needs.

    Raises:
        SyntaxError: it is no Python.
    """
    parts = []
    for statement in ast.parse(text).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                parts.append(_named(name, ' = ', value).render(max_width=_WIDTH))
            case _:
                parts.append(ast.unparse(statement))
    return '\n'.join([*parts, ''])


def _node(value: ast.expr) -> Node:
    match value:
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=items) if all(
            item.arg for item in items
        ):
            children = [_named(item.arg, '=', item.value) for item in items]
            braces = 'dict(', ')'
        case ast.Dict(keys=keys, values=values) if all(keys):
            children = [
                _named(ast.unparse(key), ': ', one) for key, one in zip(keys, values, strict=True)
            ]
            braces = '{', '}'
        case ast.List(elts=items):
            children, braces = list(map(_node, items)), ('[', ']')
        case ast.Tuple(elts=items):
            children, braces = list(map(_node, items)), ('(', ')')
        case _:
            return Node(value_repr=ast.unparse(value))
    if not children:
        return Node(value_repr=''.join(braces))
    children[-1].last = True
    return Node(
        open_brace=braces[0],
        close_brace=braces[1],
        children=children,
        is_tuple=isinstance(value, ast.Tuple),
    )


def _named(name: str, separator: str, value: ast.expr) -> Node:
    node = _node(value)
    node.key_repr, node.key_separator = name, separator
    return node
