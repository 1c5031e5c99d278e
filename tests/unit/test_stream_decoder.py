"""Text that streams: never half a character, never part of a stop string."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from hearth.engine.stream_decoder import StopMatcher, StreamDecoder


class ByteTokenizer:
    """One token per byte, as every byte-level tokenizer falls back to."""

    def decode(self, token_ids: Sequence[int]) -> str:
        return bytes(token_ids).decode(errors="replace")


class RunTokenizer:
    """Like byte fallback in SentencePiece models: a run of bytes that is not whole is all replacement characters."""

    def decode(self, token_ids: Sequence[int]) -> str:
        try:
            return bytes(token_ids).decode()
        except UnicodeDecodeError:
            # The longest start that is whole stands; the run behind it does not.
            data = bytes(token_ids)
            for end in range(len(data), 0, -1):
                start = data.rfind(b" ", 0, end) + 1
                try:
                    return data[:start].decode() + "\ufffd" * (len(data) - start)
                except UnicodeDecodeError:
                    continue
            return "\ufffd" * len(data)


def stream(decoder: StreamDecoder, tokens: Sequence[int], sizes: Sequence[int] = ()) -> list[str]:
    pieces, at, sizes = [], 0, list(sizes)
    while at < len(tokens):
        size = sizes.pop(0) if sizes else 1
        pieces.append(decoder.push(list(tokens[at : at + size])))
        at += size
    return [*pieces, decoder.flush()]


@given(st.text(), st.lists(st.integers(1, 4)))
def test_pieces_join_to_the_text_and_none_has_half_a_character(text: str, sizes: list[int]) -> None:
    whole = text.replace("\ufffd", "")
    pieces = stream(StreamDecoder(ByteTokenizer()), whole.encode(errors="ignore"), sizes)  # type: ignore[arg-type]
    assert "".join(pieces) == whole.encode(errors="ignore").decode()
    assert not any("\ufffd" in piece for piece in pieces)


@given(st.lists(st.sampled_from(["你", "é", "🙂", " ", "a"]), max_size=30).map("".join))
def test_a_run_of_bytes_is_held_until_its_characters_are_whole(text: str) -> None:
    pieces = stream(StreamDecoder(RunTokenizer()), text.encode())  # type: ignore[arg-type]
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_character_comes_out_with_its_last_byte() -> None:
    decoder = StreamDecoder(ByteTokenizer())  # type: ignore[arg-type]
    assert [decoder.push([byte]) for byte in "né".encode()] == ["n", "", "é"]


def test_bytes_that_are_no_text_come_out_and_do_not_block_what_follows() -> None:
    decoder = StreamDecoder(ByteTokenizer())  # type: ignore[arg-type]
    text = "".join(decoder.push([255]) for _ in range(100))
    assert len(text) >= 90
    assert decoder.push([ord("a")]).endswith("a")


def test_half_a_character_at_the_end_is_shown_as_what_it_is() -> None:
    decoder = StreamDecoder(ByteTokenizer())  # type: ignore[arg-type]
    assert decoder.push(list("你".encode()[:2])) == ""
    assert decoder.flush() == "\ufffd"
    assert decoder.flush() == ""


def test_a_raw_prompt_is_continued_and_not_repeated() -> None:
    decoder = StreamDecoder(ByteTokenizer(), list(b"Once upon"))  # type: ignore[arg-type]
    assert decoder.push(list(b" a")) == " a"


STOPS = st.lists(st.text("ab\n", min_size=1, max_size=4), min_size=1, max_size=3)


@given(st.text("ab\nc", max_size=40), STOPS, st.lists(st.integers(1, 5)))
def test_text_ends_before_the_first_stop_string_however_it_is_cut(
    text: str, stops: list[str], sizes: list[int]
) -> None:
    matcher = StopMatcher(stops)
    found = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    expected = text[: min(found)[1]] if found else text
    emitted, at = "", 0
    sizes = sizes or [1]
    for number in range(len(text)):
        size = sizes[number % len(sizes)]
        emitted += matcher.push(text[at : at + size])
        assert expected.startswith(emitted)
        at += size
        if at >= len(text):
            break
    emitted += matcher.flush()
    assert emitted == expected
    assert (matcher.matched is not None) == bool(found)


def test_of_two_stop_strings_the_one_that_is_complete_first_counts() -> None:
    matcher = StopMatcher(["ab", "abc"])
    assert matcher.push("xabcd") == "x"
    assert matcher.matched == "ab"


def test_text_after_a_stop_string_is_swallowed() -> None:
    matcher = StopMatcher(["."])
    assert matcher.push("a.b") == "a"
    assert matcher.push("c") == ""
    assert matcher.flush() == ""
