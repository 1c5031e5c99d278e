"""llama.cpp's own server, run and asked beside Hearth. `make bench-peer` makes it."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Ask = Callable[[list[int], int], Iterator[int]]
"""Token ids and the length of the answer, to the tokens that each output brings; 0 is news of the prompt."""


CONTEXT_STEP = 256
SERVER_SECONDS = 300


@contextmanager
def llama_server(program: Path, model: Path, slots: int, context: int, threads: int) -> Iterator[Ask]:
    """llama.cpp's server while it runs: so many slots, each with so much context.

    No prompt begins like another one, so what would keep prompts for later is switched off, which only helps it.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    per_slot = -(-context // CONTEXT_STEP) * CONTEXT_STEP
    command = [str(program), "-m", str(model), "--host", "127.0.0.1", "--port", str(port)]
    command += ["-np", str(slots), "-cb", "-c", str(slots * per_slot), "-t", str(threads), "-fa", "on"]
    command += ["--cache-ram", "0", "--no-kv-unified"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_healthy(port, server)
            yield lambda prompt, tokens: _completion(port, prompt, tokens)
        finally:
            server.terminate()


def _wait_healthy(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            pass  # it does not listen yet
        finally:
            connection.close()
        time.sleep(0.2)
    raise RuntimeError(f"llama.cpp's server does not start; exit code {server.poll()}")


def _completion(port: int, prompt: list[int], tokens: int) -> Iterator[int]:
    """What each event brings. The server holds tokens back while they end amid a character; it counts them later."""
    body = {
        "prompt": prompt,
        "n_predict": tokens,
        "temperature": 0,
        "ignore_eos": True,
        "cache_prompt": False,
        "stream": True,
        "return_progress": True,
    }
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        connection.request("POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise RuntimeError(f"llama.cpp's server answers {response.status}: {response.read(500)!r}")
        known = 0
        for line in response:
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                progress = event.get("prompt_progress")
                now = event["tokens_predicted"]
                if now > known or (progress and progress["processed"] > progress["cache"]):
                    yield now - known
                known = now
    finally:
        connection.close()
