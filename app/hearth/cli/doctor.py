"""`hearth doctor`: what this machine has, what Hearth will use, and why. It reports what is wrong and stops at nothing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from hearth import __version__, paths
from hearth.cli.opening import open_hearth
from hearth.cli.options import Json
from hearth.cli.output import (
    measured_speed_text,
    note,
    size_text,
    status,
    write,
    write_json,
    write_pairs,
    write_table,
)
from hearth.config import Config, load_config, models_root
from hearth.errors import HearthError
from hearth.hardware.machine import Machine, read_machine
from hearth.hardware.probe import RuntimeProbe, run_probe
from hearth.i18n import tr
from hearth.services.devices import (
    DeviceReport,
    DeviceRow,
    ModelDevices,
    examine_devices,
    measure_again,
    use_text,
)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder of Hearth: where it is, how it is, and what is wrong with it (or nothing)."""

    path: str
    state: str
    problem: str = ""


class EngineChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What a model will get, and why.

    Attributes:
        provider: what runs it where no other device is used.
        threads: the most that it may have.
    """

    provider: str
    threads: int
    threads_reason: str
    kv_cache_bytes: int
    kv_cache_reason: str
    max_slots: int
    max_context: int


class DoctorReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` gives."""

    version: str
    python: str
    machine: Machine
    runtime: RuntimeProbe
    engine: EngineChoice
    devices: DeviceReport
    qt: str
    home: Part
    config: Part
    database: Part
    log_file: str
    models: dict[str, int]
    problems: list[str]


def doctor(
    measure: Annotated[
        str | None,
        typer.Option(metavar=tr("MODEL"), help=tr("Measure again which device and threads suit this model.")),
    ] = None,
    json: Json = False,
) -> None:
    """Write the report; the exit code is 1 where something is wrong."""
    if measure is not None:
        _measure(measure, json)
        return
    report = examine()
    if json:
        write_json(report)
    else:
        _write(report)
    if report.problems:
        raise typer.Exit(1)


def _measure(name: str, json: bool) -> None:
    with open_hearth() as hearth:
        with status(tr("Measuring {name}…", name=name)):
            worker, measured = measure_again(hearth, name)
        for notice in worker.info().notices:
            note(notice)
    if json:
        write_json(measured)
    else:
        _write_measured([measured])


def examine() -> DoctorReport:
    """Look at everything."""
    machine, runtime = read_machine(), run_probe()
    config, settings = _config()
    home, database = _home(), _database()
    models, models_problem = _models(config)
    devices = examine_devices(config.engine.device, config.engine.threads, machine)
    problems = [home.problem, settings.problem, database.problem, models_problem]
    if runtime.problem:
        problems.append(tr("ONNX Runtime cannot be used: {reason}", reason=runtime.problem))
    elif devices.problem:
        problems.append(tr("The devices cannot be listed: {reason}", reason=devices.problem))
    return DoctorReport(
        version=__version__,
        python=platform.python_version(),
        machine=machine,
        runtime=runtime,
        engine=_engine(config, machine, runtime),
        devices=devices,
        qt=_qt(),
        home=home,
        config=settings,
        database=database,
        log_file=str(paths.log_file()),
        models=models,
        problems=[problem for problem in problems if problem],
    )


def _config() -> tuple[Config, Part]:
    path = paths.config_file()
    try:
        config = load_config(path)
    except HearthError as error:
        return Config(), Part(path=str(path), state=tr("not used"), problem=str(error))
    return config, Part(path=str(path), state=tr("read") if path.exists() else tr("defaults apply"))


def _home() -> Part:
    from hearth.home import ensure_home

    try:
        return Part(path=str(ensure_home()), state=tr("can be written"))
    except HearthError as error:
        return Part(path=str(paths.home()), state=tr("cannot be used"), problem=str(error))


def _database() -> Part:
    from hearth.conversations.store import ConversationStore
    from hearth.storage.database import Database

    path = paths.database_file()
    if not path.exists():
        return Part(path=str(path), state=tr("not made yet"))
    try:
        with Database.open(path) as database:
            count = ConversationStore(database).count()
    except HearthError as error:
        return Part(path=str(path), state=tr("cannot be used"), problem=str(error))
    size = size_text(path.stat().st_size)
    return Part(path=str(path), state=tr("{n} conversations, {size}", n=count, size=size))


def _models(config: Config) -> tuple[dict[str, int], str]:
    """Name and size of each model, and what is wrong with the store."""
    from hearth.models.registry import ModelRegistry, check_models_folder

    root = models_root(config)
    try:
        check_models_folder(root)
        return {entry.name: entry.bytes for entry in ModelRegistry(root).list()}, ""
    except HearthError as error:
        return {}, str(error)


def _engine(config: Config, machine: Machine, runtime: RuntimeProbe) -> EngineChoice:
    from hearth.services.engine_options import KV_CACHE_SHARE, engine_options

    options = engine_options(config.engine, machine)
    from_settings = tr("config.toml says so")
    return EngineChoice(
        provider="CPUExecutionProvider" if "CPUExecutionProvider" in runtime.providers else "",
        threads=options.threads,
        threads_reason=from_settings
        if config.engine.threads
        else tr("the physical cores that this process may use"),
        kv_cache_bytes=options.kv_cache_bytes,
        kv_cache_reason=from_settings
        if config.engine.kv_cache_mb
        else tr("one part in {n} of the memory", n=KV_CACHE_SHARE),
        max_slots=options.max_slots,
        max_context=options.max_context,
    )


def _qt() -> str:
    """The version of Qt for Python, without loading it; empty where the window cannot open."""
    if importlib.util.find_spec("PySide6") is None:
        return ""
    try:
        return importlib.metadata.version("PySide6-Essentials")
    except importlib.metadata.PackageNotFoundError:  # the packaged app carries no metadata
        return tr("present")


def _write(report: DoctorReport) -> None:
    machine, engine = report.machine, report.engine
    context = tr("{n} tokens", n=engine.max_context) if engine.max_context else tr("the model's own")
    write_pairs(
        [
            ("Hearth", f"{report.version}, Python {report.python}"),
            (tr("System"), machine.system),
            (tr("Processor"), f"{machine.cpu} ({' '.join(machine.instruction_sets)})"),
            (tr("Cores"), tr("{usable} of {all} usable", usable=machine.usable_cores, all=machine.cores)),
            (
                tr("Memory"),
                tr(
                    "{free} of {all} free",
                    free=size_text(machine.available_bytes),
                    all=size_text(machine.memory_bytes),
                ),
            ),
            ("ONNX Runtime", f"{report.runtime.version} ({', '.join(report.runtime.providers)})"),
            (tr("Runs models on"), _runs_on(report.devices) or engine.provider or tr("nothing")),
            (tr("Threads"), _with(str(engine.threads), engine.threads_reason)),
            (tr("Keys and values"), _with(size_text(engine.kv_cache_bytes), engine.kv_cache_reason)),
            (tr("Answers at once"), str(engine.max_slots)),
            (tr("Context"), context),
            (tr("Window"), f"PySide6 {report.qt}" if report.qt else tr("no: PySide6 is not installed")),
            (tr("Home"), _with(report.home.path, report.home.state)),
            (tr("Settings"), _with(report.config.path, report.config.state)),
            (tr("Database"), _with(report.database.path, report.database.state)),
            (tr("Log file"), report.log_file),
            (
                tr("Models"),
                ", ".join(f"{name} ({size_text(size)})" for name, size in report.models.items()) or "–",
            ),
        ]
    )
    if report.devices.devices:
        write("")
        _write_devices(report.devices.devices)
    if report.devices.models:
        write("")
        _write_measured(report.devices.models)
    if report.problems:
        write("")
        write(tr("What is wrong:"))
        for problem in report.problems:
            write(f"- {problem}")


def _runs_on(report: DeviceReport) -> str:
    """What models run on, or may run on."""
    return tr(", ").join(device.title for device in report.devices if device.is_used is not False)


def _write_devices(devices: Sequence[DeviceRow]) -> None:
    headers = (tr("DEVICE"), tr("INSTALLED"), tr("HARDWARE"), tr("USE"), "")
    write_table(
        headers,
        [
            (
                device.title,
                device.version or tr("no"),
                device.hardware or "–",
                use_text(device),
                "" if device.is_tried else tr("not tried by anybody yet"),
            )
            for device in devices
        ],
    )


def _write_measured(models: Sequence[ModelDevices]) -> None:
    headers = (tr("MODEL"), tr("DEVICE"), tr("THREADS"), tr("READS"), tr("WRITES"), "")
    write_table(
        headers,
        [
            (
                model.model,
                trial.title,
                str(trial.threads),
                "–" if trial.refusal else tr("{n} tokens/s", n=measured_speed_text(trial.read_speed)),
                "–" if trial.refusal else tr("{n} tokens/s", n=measured_speed_text(trial.write_speed)),
                trial.refusal or (tr("chosen") if trial.is_chosen else ""),
            )
            for model in models
            for trial in model.trials
        ],
    )


def _with(text: str, detail: str) -> str:
    return tr("{text} ({detail})", text=text, detail=detail)
