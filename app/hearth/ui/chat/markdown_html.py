"""Markdown to the subset of HTML that Qt's rich text shows. No Qt in here.

The text is a model's: raw HTML is shown as text, images become links, only web and mail links are links, and
what is nested too deep or is too large a table is shown as it was written. Formulas are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

MAX_LEVEL: Final = 24  # a nested list takes two levels
MAX_COLUMNS: Final = 40
MAX_CELLS: Final = 1500
LINK_SCHEMES: Final = ("http://", "https://", "mailto:")

_TAGS: Final = {
    "paragraph_open": "<p>",
    "paragraph_close": "</p>",
    "bullet_list_open": "<ul>",
    "bullet_list_close": "</ul>",
    "ordered_list_close": "</ol>",
    "list_item_open": "<li>",
    "list_item_close": "</li>",
    "blockquote_open": '<table class="quote" cellspacing="0" cellpadding="0"><tr><td class="quote">',
    "blockquote_close": "</td></tr></table>",
    "table_open": '<table class="grid" cellspacing="0" cellpadding="6">',
    "table_close": "</table>",
    "tr_open": "<tr>",
    "tr_close": "</tr>",
    "th_close": "</th>",
    "td_close": "</td>",
    "hr": "<hr/>",
    "em_open": "<em>",
    "em_close": "</em>",
    "strong_open": "<strong>",
    "strong_close": "</strong>",
    "s_open": "<s>",
    "s_close": "</s>",
    "softbreak": "\n",
    "hardbreak": "<br/>",
}


def _math(state: StateInline, silent: bool) -> bool:
    r"""Formulas between `$`, `$$`, `\(` and `\)` or `\[` and `\]`: their text goes through untouched."""
    source, start = state.src, state.pos
    for opening, closing in (("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$"), ("$", "$")):
        if not source.startswith(opening, start):
            continue
        inside = start + len(opening)
        end = source.find(closing, inside, state.posMax)
        if end <= inside:
            continue
        after = end + len(closing)
        if opening == "$" and (
            source[inside].isspace() or source[end - 1].isspace() or source[after : after + 1].isdigit()
        ):
            continue
        if not silent:
            state.push("math", "", 0).content = source[start:after]
        state.pos = after
        return True
    return False


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_LEVEL + 16})
    parser.enable(["table", "strikethrough"])
    # Link definitions would reach across blocks, and blocks are parsed one by one.
    parser.disable(["reference", "html_block", "html_inline"])
    parser.inline.ruler.before("escape", "math", _math)
    parser.inline.add_terminator_char("$")
    return parser


PARSER: Final = _parser()


def block_tokens(source: str) -> list[Token]:
    """The block structure of `source`, its inline text not parsed."""
    tokens: list[Token] = []
    PARSER.block.parse(source, PARSER, {}, tokens)
    return tokens


def render(source: str) -> str:
    """HTML of one block."""
    tokens = PARSER.parse(source)
    return plain(source) if _is_too_much(tokens) else render_tokens(tokens)


def render_tokens(tokens: list[Token]) -> str:
    """HTML of parsed tokens."""
    return "".join(_pieces(tokens))


def plain(source: str) -> str:
    """HTML that shows `source` as it was written."""
    return f'<p class="plain">{escape(source.strip(chr(10)))}</p>'


def _is_too_much(tokens: list[Token]) -> bool:
    cells = columns = 0
    for token in tokens:
        if token.level > MAX_LEVEL:
            return True
        if token.type == "tr_open":
            columns = 0
        elif token.type in ("td_open", "th_open"):
            cells += 1
            columns += 1
            if columns > MAX_COLUMNS or cells > MAX_CELLS:
                return True
    return False


def _pieces(tokens: list[Token]) -> Iterator[str]:
    links: list[bool] = []  # for each open link, whether it may be followed
    for token in tokens:
        kind = token.type
        if kind == "inline":
            yield from _pieces(token.children or [])
        elif kind == "text":
            yield escape(token.content)
        elif kind in _TAGS:
            if not token.hidden:
                yield _TAGS[kind]
        elif kind == "link_open":
            target = str(token.attrGet("href") or "")
            links.append(may_follow(target))
            if links[-1]:
                yield f'<a href="{escape(target)}">'
        elif kind == "link_close":
            if links.pop():
                yield "</a>"
        else:
            yield _piece(token)


def _piece(token: Token) -> str:
    """HTML of the tokens that carry something of their own."""
    match token.type:
        case "code_inline":
            return f"<code>{escape(token.content)}</code>"
        case "math":
            return f'<span class="math">{escape(token.content).replace(chr(10), "<br/>")}</span>'
        case "heading_open" | "heading_close":
            return f"<{'/' if token.nesting < 0 else ''}{token.tag}>"
        case "ordered_list_open":
            start = token.attrGet("start")
            return f'<ol start="{start}">' if start is not None else "<ol>"
        case "th_open" | "td_open":
            style = str(token.attrGet("style") or "")
            align = style.removeprefix("text-align:")
            return f'<{token.tag} align="{align}">' if align else f"<{token.tag}>"
        case "fence" | "code_block":  # one inside a list or a quotation
            code = escape(token.content.rstrip("\n"))
            return (
                '<table class="code" cellspacing="0" cellpadding="8" width="100%"><tr><td class="code">'
                f"<pre>{code}</pre></td></tr></table>"
            )
        case "image":
            return _image(token)
    return escape(token.content)


def _image(token: Token) -> str:
    """A link in place of the picture: nothing is fetched that the reader did not ask for."""
    target = str(token.attrGet("src") or "")
    label = escape(token.content or target)
    return f'<a href="{escape(target)}">{label}</a>' if may_follow(target) else label


def may_follow(target: str) -> bool:
    """Whether a link may be opened when the reader clicks it."""
    return target.lower().startswith(LINK_SCHEMES)
