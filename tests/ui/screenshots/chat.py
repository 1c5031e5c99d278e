"""Pictures of the chat: answers, the list of conversations, parameters, imports and problems."""

from __future__ import annotations

from camera import Camera
from hearth.conversations.message import AnswerUsage, MessageError, MessageStatus, Part, PartKind, Role
from hearth.services.events import ModelState
from homes import MODEL
from window_life import until

QUESTION = "How do I read a large CSV file line by line in Python, without loading all of it?"
ANSWER = """Use the standard library's `csv` module: it reads **one row at a time**, so the size of the file does not matter.

```python
import csv

with open("measurements.csv", newline="", encoding="utf-8") as file:
    for row in csv.DictReader(file):
        if float(row["temperature"]) > 40:
            print(row["station"], row["temperature"])
```

A few things to know:

1. `newline=""` leaves line ends to the `csv` module.
2. `DictReader` takes the names from the first line.
3. A generator keeps it lazy: `hot = (row for row in reader if ...)`.

| Way | Memory | Speed |
|---|---|---|
| `csv` | constant | good |
| `pandas.read_csv` | the whole file | best |
"""


class ChatCamera(Camera):
    """Leads one window through its states and takes a picture of each."""

    def take_all(self) -> None:
        window = self.window
        until(lambda: window.hearth is not None and window.models.entries is not None)
        window.welcome.widget.finished.emit()
        self.take("no-model")
        self._import()
        self.take("empty-chat")
        window.panel.rows["temperature"].field.setValue(0)
        self._ask("Once upon a time")
        until(lambda: not window.session.is_busy() and window.session.last(Role.ASSISTANT) is not None)
        self.take("story")
        self._fill()
        window.conversations.refresh()
        until(lambda: window.list.model.rowCount() == 6)
        self._open("Reading a large CSV file")
        self.take("conversation")
        window.actions_.toggle_panel.setChecked(True)
        self.take("parameters")
        window.picker.open()
        self.take("models", window.picker.popup)
        window.picker.popup.hide()
        window.conversations.delete(window.list.model.conversations()[-1].id)
        until(window.toast.isVisible)
        self.take("undo")
        window.toast.hide()
        window.actions_.toggle_panel.setChecked(False)
        self._open("A failed answer")
        self.take("failed")
        self._open("中文和日本語")
        self.take("chinese")
        window.resize(620, 640)
        window.actions_.toggle_sidebar.setChecked(False)
        self.take("narrow")
        self.close()

    def take_problem(self) -> None:
        until(lambda: self.window.pages.currentWidget() is self.window.problem)
        self.take("problem")
        self.close()

    def _import(self) -> None:
        window = self.window
        window.models.import_folder(MODEL.parent / "gone")
        until(lambda: window.models.dialog is not None and window.models.dialog.error())
        self.take("import-problem", window.models.dialog)
        window.models.dialog.reject()
        window.models.import_folder(MODEL)
        until(lambda: window.models.dialog is not None and window.models.dialog.import_button.isEnabled())
        dialog = window.models.dialog
        dialog.name_field.setText("stories260k")
        self.take("import", dialog)
        dialog.import_button.click()
        until(lambda: window.models.current == "stories260k")
        until(lambda: window.picker.status("stories260k").state is ModelState.READY)

    def _ask(self, text: str) -> None:
        self.window.composer.set_text(text)
        self.window.composer.button.click()
        until(lambda: self.window.session.is_busy() or self.window.session.messages)

    def _fill(self) -> None:
        """Conversations as they are in use, written by the store."""
        store = self.window.hearth.conversations
        for title in ("Holiday in Lisbon", "Letter to the landlord"):
            store.create(title=title, model="stories260k")
        self._write(
            "中文和日本語",
            "春天的诗有哪些？日本の俳句も教えて。",
            "唐诗里写春天的名句很多：\n\n> 好雨知时节，当春乃发生。\n\n俳句では「古池や蛙飛び込む水の音」が有名です。",
        )
        self._write("A failed answer", "Tell me a long story.", "It was a dark night, and the", failed=True)
        self._write("Reading a large CSV file", QUESTION, ANSWER)

    def _write(self, title: str, question: str, answer: str, *, failed: bool = False) -> None:
        store = self.window.hearth.conversations
        conversation = store.create(title=title, model="stories260k")
        asked = store.add_message(
            conversation.id, parent_id=None, role=Role.USER, parts=[Part(PartKind.TEXT, question)]
        )
        reply = store.add_message(
            conversation.id,
            parent_id=asked.id,
            role=Role.ASSISTANT,
            parts=[],
            status=MessageStatus.STREAMING,
            model="stories260k",
        )
        usage = AnswerUsage(
            prompt_tokens=38,
            cached_tokens=0,
            generated_tokens=214,
            seconds_to_first_token=0.31,
            seconds=9.2,
            tokens_per_second=24.1,
            finish_reason="stop",
            context_tokens=252,
            context_length=4096,
        )
        error = MessageError("host_crashed", {"name": "stories260k", "reason": "killed by signal 9"})
        store.finish_answer(
            reply.id,
            [Part(PartKind.TEXT, answer)],
            MessageStatus.FAILED if failed else MessageStatus.COMPLETE,
            usage=None if failed else usage,
            error=error if failed else None,
        )

    def _open(self, title: str) -> None:
        window = self.window
        row = next(row for row in window.list.model.conversations() if row.title == title)
        window.session.open(row.id)
        until(lambda: window.session.conversation is not None and window.session.conversation.id == row.id)
        until(lambda: window.session.messages)
