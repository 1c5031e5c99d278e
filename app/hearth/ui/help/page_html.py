"""A help page as the HTML that Qt's rich text shows. No Qt in here."""

from __future__ import annotations

from html import escape
from typing import Final

from hearth.help.keys import native_keys
from hearth.help.page import HelpPage
from hearth.ui.chat import markdown_html

# Links within the help go through the Markdown of the chat, which lets only web addresses be links. The domain is
# one that can never exist.
INTERNAL: Final = "https://help.invalid/"

# Added to the style of the chat: there every block stands for itself, here blocks follow each other.
CSS: Final = (
    "p { margin-top: 0; margin-bottom: 11px; } ul, ol { margin-bottom: 11px; }"
    " h1 { margin-bottom: 8px; } h2 { margin-top: 20px; margin-bottom: 7px; }"
    " table.grid { margin-bottom: 11px; } table.code { margin-bottom: 11px; }"
)


def page_html(page: HelpPage) -> str:
    """The whole page; each section begins with its anchor."""
    pieces = [_html(page, f"# {page.title}\n\n{page.intro}")]
    for section in page.sections:
        heading = _html(page, f"## {section.heading}")
        pieces.append(heading.replace("<h2>", f'<h2><a name="{escape(section.anchor)}"></a>', 1))
        pieces.append(_html(page, section.text))
    return "".join(pieces)


def internal_target(address: str) -> tuple[str, str] | None:
    """Page and anchor, each perhaps empty, that a link leads to; None where it leads out of the help."""
    if not address.startswith(INTERNAL):
        return None
    page_id, _, anchor = address.removeprefix(INTERNAL).partition("#")
    return page_id, anchor


def _html(page: HelpPage, markdown: str) -> str:
    tokens = markdown_html.PARSER.parse(native_keys(page, markdown))
    for token in tokens:
        for inner in token.children or ():
            target = str(inner.attrGet("href") or "")
            if inner.type == "link_open" and not markdown_html.may_follow(target):
                inner.attrSet("href", INTERNAL + target)
    return markdown_html.render_tokens(tokens).replace("<th>", '<th align="left">')
