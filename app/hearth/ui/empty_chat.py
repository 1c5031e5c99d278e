"""What an empty chat says: how to begin, and with the starter what to try and the way to a bigger model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hearth.i18n import tr

if TYPE_CHECKING:
    from hearth.models.registry import ModelEntry
    from hearth.services.events import ModelStatus
    from hearth.ui.empty_state import EmptyState


def show_no_model(empty: EmptyState) -> None:
    """There is no model on this machine, not even the starter."""
    empty.show_words(
        tr("Welcome to Hearth"),
        tr(
            "Hearth answers with a language model that runs on this machine; nothing leaves it."
            " Add one that fits this machine, or drop a model's folder or GGUF file on this window."
        ),
        tr("Add a Model…"),
        tr("Import a Model Folder…"),
    )


def show_empty_chat(empty: EmptyState, model: ModelEntry | None, status: ModelStatus | None) -> None:
    """An empty chat that `model` will answer in."""
    heading = tr("What is on your mind?")
    if model is not None and model.built_in:
        empty.show_words(
            heading,
            tr("Ask a question or begin a text. It stays on this machine."),
            suggestions=things_to_try(),
            note=tr(
                "This is Hearth's small starter: it knows Hearth, sums and small talk, and not much more."
            ),
            link=tr("Find a bigger model for this machine…"),
        )
        return
    if status and status.info and not status.info.has_chat_template:
        text = tr("{name} has no chat template: it continues what you write.", name=status.name)
    elif model is not None and model.is_remote:
        text = tr("Ask a question or begin a text. It goes to {address}.", address=model.manifest.source)
    else:
        text = tr("Ask a question or begin a text. It stays on this machine.")
    empty.show_words(heading, text)


def things_to_try() -> tuple[str, str, str]:
    """Questions that the starter answers well."""
    return tr("What can you do?"), tr("What is 27 + 58?"), tr("How do I get a bigger model?")
