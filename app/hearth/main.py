"""The program `hearth`: starts a front, and turns whatever goes wrong into one line and an exit code.

Exit codes: 0 done, 1 an error that was told in one line, 2 a command line that makes no sense, 130 stopped by Ctrl+C.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from hearth import __version__
from hearth.errors import CommandInvalid, HearthError, QtMissing
from hearth.i18n import tr

log = logging.getLogger(__name__)


def run() -> None:
    """What the `hearth` script calls."""
    from multiprocessing import freeze_support

    freeze_support()
    sys.exit(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program with these arguments (those of the process by default); the exit code."""
    # ONNX Runtime's official builds send telemetry unless this is set before they are loaded.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        match arguments:
            case ["--version"]:
                sys.stdout.write(f"hearth {__version__}\n")
                return 0
            case ["--engine-host"]:  # the packaged app is its own interpreter
                from hearth.engine.host.process import main as serve

                return serve()
            case ["--pack-weights"]:
                from hearth.engine.packing import main as pack

                return pack()
            case ["--quantize"]:
                from hearth.quantize.__main__ import main as quantize

                return quantize()
            case ["--measure-quality"]:
                from hearth.services.quality_process import main as measure

                return measure()
            case ["--probe"]:
                from hearth.hardware.probe import main as probe

                return probe()
            case ["--measure-speed", *task]:
                from hearth.hardware.speed import main as measure_speed

                return measure_speed(task)
            case ["--devices", *task]:
                from hearth.engine.providers.__main__ import main as answer

                return answer(task)
        _prepare()
        return _start(arguments)
    except HearthError as error:
        log.info("ended by %s", error.code)
        _complain(str(error))
        return 2 if isinstance(error, CommandInvalid) else 1
    except KeyboardInterrupt:
        if sys.stderr is not None and sys.stderr.isatty():
            sys.stderr.write("\n")  # the shell's prompt shall not stand behind half an answer
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough; the flush at exit must not complain about it either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        log.exception("an unexpected error")
        _complain(_unexpected(error))
        return 1


def _prepare() -> None:
    """Language, output and log file. Says nothing of what is wrong with home or settings: commands do."""
    from hearth import i18n
    from hearth.config import Config, load_config
    from hearth.home import ensure_home
    from hearth.log import setup_logging

    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a windowed program on Windows has no streams
        if reconfigure is not None:
            # A model may write what the terminal cannot show, and programs that read us expect UTF-8.
            reconfigure(errors="replace", **({} if stream.isatty() else {"encoding": "utf-8"}))
    try:
        config = load_config()
    except HearthError:
        config = Config()
    i18n.use_language(config.language)
    try:
        ensure_home()
    except HearthError:
        return
    setup_logging(config.log.level)


def _start(arguments: Sequence[str]) -> int:
    if not arguments:
        if _has_display():
            return _run_window()
        _complain(tr("There is no display here, so this is the chat in the terminal."))
        arguments = ["chat"]
    from hearth.cli.app import app

    return app.run(arguments)


def _has_display() -> bool:
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def _run_window() -> int:
    try:
        from hearth.ui.app import run_window
    except ImportError as error:
        if (error.name or "").startswith("hearth"):
            raise
        raise QtMissing(reason=str(error)) from error
    return run_window()


def _unexpected(error: Exception) -> str:
    from hearth.paths import log_file

    return tr(
        "Something unexpected went wrong: {detail}. The log file has the details: {path}",
        detail=f"{type(error).__name__}: {error}",
        path=log_file(),
    )


def _complain(text: str) -> None:
    """One line on stderr, where there is one. It may quote a hostile file: a terminal shall not obey it."""
    if sys.stderr is not None:
        line = " ".join(text.split())
        sys.stderr.write("hearth: " + "".join(c if c.isprintable() else "?" for c in line) + "\n")
