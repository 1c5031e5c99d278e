"""Chat templates of published models in the sandbox, and hostile ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearth.engine import chat_template
from hearth.engine.chat_template import ChatTemplate
from hearth.engine.host.protocol import ChatMessage
from hearth.errors import ChatTemplateFailed

TURNS = [
    ChatMessage("user", "What is a <b>hearth</b>?"),
    ChatMessage("assistant", "A fireplace."),
    ChatMessage("user", "In French? “Foyer”? 炉"),
]
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}
# The variants for tool use alone: without a list of tools they cannot be rendered by anybody.
DEMANDS_TOOLS = {
    "CohereForAI-c4ai-command-r-plus-tool_use",
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
    "fireworks-ai-llama-3-firefunction-v2",
}


def render(source: str, messages: list[ChatMessage] = TURNS) -> str:
    return ChatTemplate(source, "model", SPECIAL).render(messages)


def test_published_templates_render_every_message_unescaped(shared_data: Path) -> None:
    files = sorted((shared_data / "chat_templates").glob("*.jinja"))
    assert len(files) > 50
    failed = {}
    for file in files:
        try:
            text = render(file.read_text())
        except ChatTemplateFailed as error:
            failed[file.stem] = str(error)
            continue
        missing = [message.content for message in TURNS if message.content not in text]
        if missing:
            failed[file.stem] = f"lacks {missing}"
    assert failed.keys() == DEMANDS_TOOLS, failed


def test_system_prompts_reach_the_model_or_are_refused_in_words(shared_data: Path) -> None:
    messages = [ChatMessage("system", "Answer in rhyme."), *TURNS]
    silent = []
    for file in sorted((shared_data / "chat_templates").glob("*.jinja")):
        try:
            text = render(file.read_text(), messages)
        except ChatTemplateFailed:
            continue
        if "Answer in rhyme." not in text:
            silent.append(file.stem)
    assert silent == []


def test_chatml_is_what_it_is(shared_data: Path) -> None:
    source = (shared_data / "chat_templates" / "Qwen-Qwen2.5-7B-Instruct.jinja").read_text()
    assert render(source, [ChatMessage("system", "S"), ChatMessage("user", "Hi")]) == (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ messages.append({'role': 'x'}) }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{{ raise_exception('only one message') }}",
        "{{ messages[99].content.x.y }}",
        "{{ 1 / 0 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% if %}",
        "{{ " + "(" * 5000,
        "{{ messages | tojson(indent='x', nonsense=1) }}",
    ],
)
def test_a_hostile_or_broken_template_is_one_error(source: str) -> None:
    with pytest.raises(ChatTemplateFailed):
        render(source)


def test_a_template_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "MAX_CHARACTERS", 10_000)
    with pytest.raises(ChatTemplateFailed, match="end"):
        render("{% for i in range(90000) %}{{ 'x' * 100 }}{% endfor %}")


def test_generation_marks_pass_through() -> None:
    assert render("{% generation %}{{ messages[0].content }}{% endgeneration %}") == TURNS[0].content
