"""The engine host as a real process: its pipe, what it refuses, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from hearth.engine.host.client import HostClient, host_command
from hearth.engine.host.pipe import FrameInvalid, Pipe
from hearth.engine.host.protocol import (
    VERSION,
    Abort,
    ChatMessage,
    EngineOptions,
    HostReply,
    Load,
    LoadFailed,
    Outputs,
    Ping,
    Pong,
    Ready,
    Refused,
    Submit,
)
from hearth.engine.outputs import FinishReason, RequestOutput
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import ChatTemplateMissing, HostCrashed

OPTIONS = EngineOptions(threads=1, kv_cache_bytes=64 << 20)


def load_message(folder: Path, version: int = VERSION) -> Load:
    return Load(version=version, name="stories", folder=str(folder), roots=[], options=OPTIONS)


@pytest.fixture
def client(stories_float32: Path) -> Iterator[HostClient]:
    """A host with the story model loaded."""
    client = HostClient("stories")
    client.send(load_message(stories_float32))
    reply = client.receive()
    assert isinstance(reply, Ready)
    assert reply.info.context_length == 512
    yield client
    client.kill()
    client.dispose()


def submit(client: HostClient, request_id: str, text: str = "Once", **params: object) -> None:
    sampling = SamplingParams(**{"temperature": 0, "max_tokens": 20, **params})  # type: ignore[arg-type]
    client.send(Submit(request_id=request_id, text=text, params=sampling))


def outputs_until(client: HostClient, request_id: str) -> list[RequestOutput]:
    """Everything that arrives up to the last output of this request."""
    items: list[RequestOutput] = []
    while not any(item.request_id == request_id and item.finish_reason for item in items):
        reply = client.receive()
        assert isinstance(reply, Outputs), reply
        items += reply.items
    return items


def receive_until_it_ends(client: HostClient) -> None:
    while True:
        client.receive()


def text_of(items: list[RequestOutput], request_id: str) -> str:
    return "".join(item.text for item in items if item.request_id == request_id)


def test_an_answer_streams_with_usage_at_the_end(client: HostClient) -> None:
    submit(client, "a")
    items = outputs_until(client, "a")
    assert text_of(items, "a").startswith(" upon a time, there was a little girl")
    usage = items[-1].usage
    assert usage is not None
    assert usage.generated_tokens == 20
    assert usage.seconds_to_first_token > 0
    assert items[-1].finish_reason is FinishReason.LENGTH


def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(client: HostClient) -> None:
    submit(client, "a", max_tokens=200, stop=("little girl", "never said"))
    items = outputs_until(client, "a")
    assert text_of(items, "a") == " upon a time, there was a "
    assert items[-1].finish_reason is FinishReason.STOP


def test_requests_run_beside_each_other_and_abort_ends_one(client: HostClient) -> None:
    submit(client, "long", max_tokens=450, ignore_eos=True)
    submit(client, "short", "The cat", max_tokens=5)
    items = outputs_until(client, "short")
    assert not any(item.request_id == "long" and item.finish_reason for item in items)
    client.send(Abort("long"))
    items = outputs_until(client, "long")
    assert items[-1].finish_reason is FinishReason.ABORT
    assert items[-1].usage is not None


def test_what_cannot_be_answered_is_an_error_and_the_host_lives_on(client: HostClient) -> None:
    submit(client, "long", "word " * 2000)
    submit(client, "odd", top_p=7.0)
    client.send(Submit(request_id="chat", messages=[ChatMessage("user", "Hi")], params=SamplingParams()))
    codes = {}
    for request_id in ("long", "odd", "chat"):
        last = outputs_until(client, request_id)[-1]
        assert last.error is not None
        codes[request_id] = last.error.code
    assert codes == {
        "long": "prompt_too_long",
        "odd": "request_invalid",
        "chat": "chat_template_missing",
    }
    submit(client, "fine", max_tokens=1)
    assert outputs_until(client, "fine")


def test_pings_are_answered_while_a_step_runs(client: HostClient) -> None:
    submit(client, "a", max_tokens=400, ignore_eos=True)
    client.send(Ping())
    while not isinstance(reply := client.receive(), Pong):
        pass
    assert reply.seconds_in_step < 60


def test_a_message_from_the_future_is_refused_and_harms_nothing(client: HostClient) -> None:
    class Dream(msgspec.Struct, tag="dream"):
        of: str

    class SubmitOfTomorrow(Submit, tag="submit", kw_only=True):
        mood: str = "good"

    client.send(Dream("sheep"))
    assert isinstance(client.receive(), Refused)
    client.send(SubmitOfTomorrow(request_id="a", text="", params=SamplingParams(temperature=0, max_tokens=2)))
    assert outputs_until(client, "a")


def test_another_protocol_version_is_refused_in_words(stories_float32: Path) -> None:
    client = HostClient("stories")
    client.send(load_message(stories_float32, version=VERSION + 1))
    reply = client.receive()
    assert isinstance(reply, LoadFailed)
    assert reply.error.code == "host_protocol"
    client.kill()
    client.dispose()


def test_a_folder_that_is_no_model_is_an_error(tmp_path: Path) -> None:
    client = HostClient("nothing")
    client.send(load_message(tmp_path))
    reply = client.receive()
    assert isinstance(reply, LoadFailed)
    assert reply.error.code == "model_file_missing"
    with pytest.raises(HostCrashed):
        client.receive()
    client.dispose()


def test_a_killed_host_is_reported_with_the_signal(client: HostClient) -> None:
    submit(client, "a", max_tokens=450)
    os.kill(client.pid, signal.SIGKILL)
    with pytest.raises(HostCrashed, match="SIGKILL"):
        receive_until_it_ends(client)


def test_a_host_ends_when_its_app_is_killed(stories_float32: Path, tmp_path: Path) -> None:
    """Also in the middle of an answer."""
    script = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from hearth.engine.host.client import HostClient
from test_engine_host import load_message, submit
client = HostClient("stories")
client.send(load_message(Path({str(stories_float32)!r})))
client.receive()
submit(client, "a", max_tokens=450, ignore_eos=True)
print(client.pid, flush=True)
time.sleep(60)
"""
    app = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert app.stdout is not None
    host = psutil.Process(int(app.stdout.readline()))
    app.kill()
    app.wait()
    app.stdout.close()
    psutil.wait_procs([host], timeout=10)
    assert not host.is_running() or host.status() == psutil.STATUS_ZOMBIE


def test_a_host_loads_no_qt_and_no_database(client: HostClient) -> None:
    script = (
        "import sys, hearth.engine.ort_backend, hearth.engine.host.process;"
        "bad = [m for m in sys.modules if m.startswith(('PySide6', 'shiboken', 'sqlalchemy', 'hearth.ui'))];"
        "sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    maps = Path(f"/proc/{client.pid}/maps")
    if maps.exists():
        mapped = maps.read_text()
        assert "onnxruntime" in mapped
        assert "PySide6" not in mapped
        assert "libQt6" not in mapped


def test_calls_count_tokens_and_give_figures(client: HostClient) -> None:
    ended: list[HostCrashed] = []

    def read() -> None:
        try:
            receive_until_it_ends(client)
        except HostCrashed as error:
            ended.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert client.count(text="") == 1
    assert client.count(text="Once upon a time") > 3
    with pytest.raises(ChatTemplateMissing):
        client.count(messages=[ChatMessage("user", "Hi")])
    stats = client.stats()
    assert stats["open"] == 0
    assert stats["memory_bytes"] > 10 << 20
    client.kill()
    reader.join(10)
    assert len(ended) == 1


def test_noise_on_the_pipe_ends_the_host_without_a_trace_in_memory() -> None:
    process = subprocess.Popen(host_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\xff" * 64)
    process.stdin.close()
    started = time.monotonic()
    process.wait(timeout=20)
    process.stdout.close()
    assert time.monotonic() - started < 20


def test_frames_survive_the_pipe(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as reader, os.fdopen(write_end, "wb") as writer:
        pipe: Pipe[HostReply] = Pipe(reader, writer, HostReply)
        sent = Outputs([RequestOutput(request_id="a", text="é🙂\x00", token_ids=[1], prefilled=3)])
        pipe.send(sent)
        assert pipe.receive() == sent


def test_a_frame_whose_text_is_no_text_is_passed_over(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as reader, os.fdopen(write_end, "wb") as writer:
        pipe: Pipe[HostReply] = Pipe(reader, writer, HostReply)
        frame = bytearray(pipe.frame(Refused("no", request_id="xx")))
        frame[-2:] = b"\xff\xff"
        pipe.write(bytes(frame))
        with pytest.raises(FrameInvalid):
            pipe.receive()
        pipe.send(Pong(1.0))
        assert pipe.receive() == Pong(1.0)


def test_what_is_wrong_with_a_model_is_said_in_the_readers_language(tmp_path: Path) -> None:
    (tmp_path / "genai_config.json").write_text("{")
    client = HostClient("stories")
    client.send(msgspec.structs.replace(load_message(tmp_path), language="zh"))
    reply = client.receive()
    assert isinstance(reply, LoadFailed)
    assert str(reply.error.params["reason"]).startswith("不是 JSON（")
    client.kill()
    client.dispose()
