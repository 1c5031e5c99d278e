"""Fonts and the rich text's style sheet of the chat view, for one theme and one font scale."""

from __future__ import annotations

from math import ceil

from PySide6.QtGui import QFontMetricsF

from hearth.ui.theme import FontSize, font, mono_font, theme


class ChatStyle:
    """What the rows of the chat view draw with.

    Attributes:
        body, small, code: fonts.
        css: default style sheet of rich text documents.
        line: height of a line of body text.
        leading: the part of it that Qt leaves empty under the letters.
        code_line: height of a line of code.
        character: mean width of a character of body text, for estimates.
    """

    LINE_HEIGHT = 140  # per cent

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self.body = font(FontSize.CHAT, scale=scale)
        self.small = font(FontSize.SMALL, scale=scale)
        self.code = mono_font(FontSize.CODE, scale=scale)
        body = QFontMetricsF(self.body)
        self.line = ceil(body.lineSpacing() * self.LINE_HEIGHT / 100)
        self.leading = self.line - ceil(body.lineSpacing())
        self.character = max(1.0, body.averageCharWidth())
        self.code_line = ceil(QFontMetricsF(self.code).lineSpacing() * 1.25)
        self.css = self._css()

    def _css(self) -> str:
        colours = theme().colours
        points = self.body.pointSizeF()
        mono = f"font-family: '{self.code.family()}', monospace; font-size: {self.code.pointSizeF():.2f}pt"
        headings = "".join(
            f"h{level} {{ font-size: {points * size:.2f}pt; font-weight: 600; margin: 0; line-height: 125%; }}"
            for level, size in enumerate((1.45, 1.25, 1.1, 1.0, 1.0, 1.0), start=1)
        )
        return (
            f"p, li {{ line-height: {self.LINE_HEIGHT}%; }} td, th {{ line-height: 115%; }}"
            "p { margin: 0; } ul, ol { margin-top: 0; margin-bottom: 0; } li { margin-top: 3px; margin-bottom: 3px; }"
            "p.plain { white-space: pre-wrap; }"
            f"{headings}"
            f"a {{ color: {colours.link}; text-decoration: underline; }}"
            f"code {{ {mono}; background-color: {colours.code}; color: {colours.code_text}; }}"
            f"pre {{ {mono}; color: {colours.code_text}; white-space: pre-wrap; margin: 0; line-height: 125%; }}"
            f"table.code {{ margin-top: 6px; margin-bottom: 6px; }} td.code {{ background-color: {colours.code}; }}"
            f"table.quote {{ margin: 0; }} td.quote {{ border-left: 3px solid {colours.separator};"
            f" padding-left: 12px; color: {colours.text_secondary}; }}"
            f"table.grid {{ border-collapse: collapse; margin: 0; }}"
            f"table.grid th {{ font-weight: 600; border-bottom: 1px solid {colours.field_border}; }}"
            f"table.grid td {{ border-bottom: 1px solid {colours.separator}; }}"
        )
