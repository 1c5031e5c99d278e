"""Runs the command line inside the test's process, for tests of what it prints and how it ends."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, NamedTuple

import msgspec

from hearth.log import close_logging
from hearth.main import main


class Result(NamedTuple):
    """How a command ended: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return msgspec.json.decode(self.out)

    def error_line(self) -> str:
        """The one line of a command that failed."""
        assert self.code == 1, self
        assert self.out == ""
        assert self.err.startswith("hearth: ")
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1
        assert "Traceback" not in self.err
        return self.err


def hearth(*arguments: str, stdin: str | bytes = "") -> Result:
    """Run `hearth` with these arguments."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    out, err, real_stdin = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(data), "utf-8")
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = main(arguments)
    finally:
        sys.stdin = real_stdin
        close_logging()
    return Result(code, out.getvalue(), err.getvalue())
