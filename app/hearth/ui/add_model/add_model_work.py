"""What the wizard has done off the main thread: the hub asked, the machine measured, installs added, models measured."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from hearth.models.catalogue import CatalogueEntry
from hearth.quantize.recipe_file import DEFAULT_RECIPE
from hearth.services.install_events import InstallStatus
from hearth.services.model_forms import Form, HubModel, Judged, ModelForms
from hearth.ui.tasks import Lane, Result, Task, Tasks, Unwanted

if TYPE_CHECKING:
    from hearth.model_folder.speed import SpeedReport
    from hearth.models.registry import ModelEntry
    from hearth.services.hearth import Hearth
    from hearth.services.model_fit import Fits


class AddModelWork:
    """Each method starts a job, whose callbacks the caller attaches. Asked again, an older answer is not given any more."""

    def __init__(self, hearth: Hearth, tasks: Tasks, owner: QObject) -> None:
        self._hearth = hearth
        self._tasks = tasks
        self._owner = owner
        self._closed = Event()
        self._stop_measuring = Event()
        self._measured_fits: Fits | None = None

    @property
    def is_measured(self) -> bool:
        """This machine was measured, as far as it can be."""
        return self._measured_fits is not None

    def close(self) -> None:
        """Nobody waits for an answer any more; what measures this machine ends."""
        self._closed.set()
        self.stop_measuring()

    def judge(self) -> Task[list[Judged]]:
        """How each model of the catalogue fits this machine, by what is known of it."""

        def job() -> list[Judged]:
            from hearth.services.model_advice import judge

            return judge(self._fits())

        return self._run(job, "judge")

    def measure_machine(self) -> Task[list[Judged]]:
        """The same with this machine's speeds, which the first times takes some seconds; later answers know them too."""

        def job() -> list[Judged]:
            from hearth.services.model_advice import judge
            from hearth.services.model_fit import Fits

            fits = Fits.open(self._hearth.config, cancelled=self._closed.is_set)
            self._measured_fits = fits
            return judge(fits)

        return self._run(job, "judge")

    def search(self, words: str) -> Task[list[HubModel]]:
        """What the hub has for these words."""

        def job() -> list[HubModel]:
            from hearth.services.model_advice import search

            return search(words, self._fits(), wait=self._wait)

        return self._run(job, "search")

    def look(self, source: CatalogueEntry | str) -> Task[ModelForms]:
        """The forms that a model can be had in."""
        hearth = self._hearth

        def job() -> ModelForms:
            from hearth.services.model_advice import forms_of

            return forms_of(source, self._fits(), hearth.models.taken_names(), wait=self._wait)

        return self._run(job, "look")

    def judge_forms(self, forms: ModelForms) -> Task[ModelForms]:
        """The same forms by what is known of this machine now."""

        def job() -> ModelForms:
            from hearth.services.model_advice import judge_forms

            return judge_forms(forms, self._fits())

        return self._run(job, "forms")

    def log_in(self, token: str) -> Task[str]:
        """Keep the token for the hub; the account's name."""

        def job() -> str:
            from hearth.services import hub

            return hub.log_in(token)

        return self._run(job, "token")

    def add(self, form: Form, recipe: str, name: str, context: int | None) -> Task[InstallStatus]:
        """Have the model brought, for conversations of at most so many tokens; None where that makes no difference."""
        installs = self._hearth.installs

        def job() -> InstallStatus:
            from hearth.model_folder.model_settings import ModelSettings

            status = installs.add(
                form.repository,
                form.choice,
                name=name,
                recipe=recipe or DEFAULT_RECIPE,
                settings=ModelSettings(max_context=context),
            )
            installs.start()
            return status

        return self._run(job, "add")

    def expect_speed(self, entry: ModelEntry) -> Task[float]:
        """Tokens a second that the model should write here; 0 where that is not known."""

        def job() -> float:
            from hearth.services.model_advice import expected_speed

            return expected_speed(entry, self._fits())

        return self._run(job, "speed")

    def measure(self, entry: ModelEntry, tell: Callable[[int, int], None]) -> Task[SpeedReport]:
        """How fast the model is; `tell` is called on the worker's thread."""
        stop = self._stop_measuring = Event()

        def job() -> SpeedReport:
            from hearth.services.model_manager import ModelManager

            return ModelManager(self._hearth).measure(entry.name, progress=tell, cancelled=stop.is_set)

        return self._run(job, "measure")

    def stop_measuring(self) -> None:
        """Measuring ends with MeasuringCancelled."""
        self._stop_measuring.set()

    def _run(self, job: Callable[[], Result], view: str) -> Task[Result]:
        return self._tasks.run(job, owner=self._owner, view=f"add-model-{view}", lane=Lane.FILES)

    def _fits(self) -> Fits:
        """Estimates for this machine, by what is known of it; worker thread."""
        from hearth.services.model_fit import Fits

        return self._measured_fits or Fits.open(self._hearth.config, measured=False)

    def _wait(self, seconds: float) -> None:
        """Wait before the hub is asked once more; worker thread."""
        if self._closed.wait(seconds):
            raise Unwanted
