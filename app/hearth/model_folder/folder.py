"""A model folder, checked whole before native code sees any of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from hearth.errors import ModelFileInvalid, ModelFolderMissing, ModelUnsupported, because
from hearth.i18n import tr
from hearth.model_folder import genai_config
from hearth.model_folder.confinement import Confinement
from hearth.model_folder.external_data import check_external_data
from hearth.model_folder.genai_config import GenaiConfig, read_genai_config
from hearth.model_folder.graph_summary import GraphSummary, read_graph
from hearth.model_folder.json_file import decode_json, read_capped, read_json

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_MAX_BYTES = 256 << 20
TOKENIZER_CONFIG_MAX_BYTES = 32 << 20
CHAT_TEMPLATE_MAX_BYTES = 4 << 20

# Files that travel with a model where it has them, beside those that it cannot do without.
SIDE_FILES = (
    "chat_template.jinja",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "config.json",
    "generation_config.json",
    "LICENSE*",
    "LICENCE*",
    "NOTICE*",
    "README*",
)


class _TokenizerFile(msgspec.Struct):
    """The one part that every tokenizer.json has; the rest is checked to be JSON and skipped."""

    model: msgspec.Raw


class _TokenizerConfig(msgspec.Struct):
    chat_template: str | list[dict[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model folder in onnxruntime-genai's format that passed every check.

    Attributes:
        graph_file: the ONNX graph.
        data_files: files beside the graph that hold its weights.
        chat_template: the source of its jinja template, or None for a model that only continues text.
        special_tokens: such as `bos_token` and `eos_token`, as the template may name them.
    """

    path: Path
    config: GenaiConfig
    graph_file: Path
    data_files: tuple[Path, ...]
    tokenizer_file: Path
    chat_template: str | None
    special_tokens: dict[str, str]
    side_files: tuple[Path, ...]

    @classmethod
    def open(cls, path: Path, roots: Sequence[Path] = ()) -> ModelFolder:
        """Read and check the folder; its files may also lie in `roots`, which the owner registered.

        Raises:
            ModelFolderMissing: there is no such folder.
            ModelFileMissing, ModelFileInvalid, ModelFileTruncated, ModelFileOutside: a file fails a check.
            ModelUnsupported: it is sound, but of another kind than decoder-only text.
        """
        if not path.is_dir():
            raise ModelFolderMissing(path=str(path))
        confinement = Confinement(path, roots)
        config = read_genai_config(confinement.file(genai_config.FILE_NAME))
        graph_file = confinement.file(config.model.decoder.filename)
        graph = _read_graph(graph_file)
        _check_graph(path, config, graph)
        data_files = check_external_data(graph_file, graph.external, _beside(graph_file, path, roots))
        tokenizer_file, template, special_tokens = read_tokenizer_files(confinement)
        return cls(
            path=path,
            config=config,
            graph_file=graph_file,
            data_files=tuple(data_files),
            tokenizer_file=tokenizer_file,
            chat_template=template,
            special_tokens=special_tokens,
            side_files=_side_files(confinement),
        )

    def files(self) -> list[Path]:
        """Every file that belongs to the model, each once; the graph's weights come last."""
        first = (self.path / genai_config.FILE_NAME, self.tokenizer_file, *self.side_files)
        return list(dict.fromkeys((*first, self.graph_file, *self.data_files)))

    @property
    def bytes(self) -> int:
        """The size of all its files."""
        return sum(file.stat().st_size for file in self.files())


def read_tokenizer_files(confinement: Confinement) -> tuple[Path, str | None, dict[str, str]]:
    """Where the tokenizer is, and the chat template and special tokens that `ModelFolder` has.

    Raises:
        ModelFileMissing, ModelFileInvalid, ModelFileOutside: a file fails a check.
    """
    tokenizer_file = confinement.file(TOKENIZER_FILE)
    read_json(tokenizer_file, _TokenizerFile, TOKENIZER_MAX_BYTES)
    return tokenizer_file, *_read_chat_template(confinement)


def _read_graph(graph_file: Path) -> GraphSummary:
    try:
        return read_graph(graph_file)
    except OSError as error:
        raise ModelFileInvalid(file=str(graph_file), reason=because(error)) from error


def _beside(graph_file: Path, folder: Path, roots: Sequence[Path]) -> Confinement:
    """Locations in a graph are relative to the graph's own folder, and confined like all others."""
    return Confinement(graph_file.parent, (folder, *roots))


def _check_graph(path: Path, config: GenaiConfig, graph: GraphSummary) -> None:
    """The graph has the inputs and outputs that the configuration promises, for every layer."""
    decoder = config.model.decoder
    inputs, outputs = set(graph.inputs), set(graph.outputs)
    for name in (decoder.inputs.input_ids, decoder.inputs.attention_mask):
        if name not in inputs:
            raise ModelUnsupported(name=path.name, reason=tr("its graph has no input “{name}”", name=name))
    if decoder.outputs.logits not in outputs:
        raise ModelUnsupported(
            name=path.name, reason=tr("its graph has no output “{name}”", name=decoder.outputs.logits)
        )
    for layer in range(decoder.num_hidden_layers):
        for pattern, names in (
            (decoder.inputs.past_key_names, inputs),
            (decoder.inputs.past_value_names, inputs),
            (decoder.outputs.present_key_names, outputs),
            (decoder.outputs.present_value_names, outputs),
        ):
            name = pattern.replace("%d", str(layer))
            if name not in names:
                raise ModelUnsupported(name=path.name, reason=tr("its graph has no “{name}”", name=name))


def _read_chat_template(confinement: Confinement) -> tuple[str | None, dict[str, str]]:
    template, special_tokens = None, dict[str, str]()
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        file = confinement.optional_file(name)
        if file is None:
            continue
        data = read_capped(file, TOKENIZER_CONFIG_MAX_BYTES)
        special_tokens |= _special_tokens(decode_json(file, data, dict[str, Any]))
        if name == "tokenizer_config.json":
            template = _default_template(decode_json(file, data, _TokenizerConfig).chat_template)
    file = confinement.optional_file("chat_template.jinja")
    if file is not None:
        try:
            template = read_capped(file, CHAT_TEMPLATE_MAX_BYTES).decode()
        except UnicodeDecodeError as error:
            raise ModelFileInvalid(file=str(file), reason=tr("it is not text")) from error
    return template, special_tokens


def _default_template(value: str | list[dict[str, str]] | None) -> str | None:
    """One template, or the one named “default” among several."""
    if isinstance(value, list):
        return next((item.get("template") for item in value if item.get("name") == "default"), None)
    return value


def _special_tokens(values: dict[str, Any]) -> dict[str, str]:
    """`{"bos_token": "<s>"}` from entries that are the text itself or an object with it as `content`."""
    tokens = {}
    for key, value in values.items():
        text = value.get("content") if isinstance(value, dict) else value
        if key.endswith("_token") and isinstance(text, str):
            tokens[key] = text
    return tokens


def _side_files(confinement: Confinement) -> tuple[Path, ...]:
    found = dict.fromkeys(
        path.name
        for pattern in SIDE_FILES
        for path in sorted(confinement.folder.glob(pattern))
        if not path.is_dir()
    )
    return tuple(confinement.file(name) for name in found)
