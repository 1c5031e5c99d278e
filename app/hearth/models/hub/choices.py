"""What of a repository can be fetched as one model: a folder for ONNX Runtime, a GGUF, or a checkpoint to quantize."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

import msgspec

from hearth.errors import FileNotChosen, FileNotFound, HubFailed, RepositoryUnfit
from hearth.i18n import tr
from hearth.model_folder import genai_config, manifest
from hearth.models.hub.address import host
from hearth.models.hub.repository import RemoteFile, Repository
from hearth.models.names import RESERVED_ON_WINDOWS

_SPLIT_GGUF = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)
# What stands beside a model in GGUF and is none: eyes, ears, and notes on quantizing.
_BESIDE_GGUF = re.compile(r"(^|[-_.])(mmproj|imatrix)([-_.]|$)", re.IGNORECASE)
_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")
_OLD_WEIGHTS = re.compile(r"pytorch_model(-\d{5}-of-\d{5})?\.bin")
_BESIDE_WEIGHTS = (
    "config.json",
    "generation_config.json",
    "quantize_config.json",
    "chat_template.jinja",
    "tokenizer*.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "LICENSE*",
    "LICENCE*",
    "NOTICE*",
)
_NAMED_IN_ERRORS = 12


class Format(StrEnum):
    """What it is, as a manifest names it."""

    GENAI = manifest.GENAI
    GGUF = "gguf"
    CHECKPOINT = "safetensors"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One model of a repository.

    Attributes:
        name: the folder, file or `org/name` that tells it from the others.
        folder: of the repository that its files lie in; "" is the top.
    """

    name: str
    format: Format
    folder: str
    files: tuple[RemoteFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def local_path(self, file: RemoteFile) -> str:
        """Where the file lies in the model's own folder."""
        return file.path[len(self.folder) + 1 :] if self.folder else file.path


def choices(repository: Repository, model_types: Collection[str]) -> tuple[Choice, ...]:
    """All models of the repository that Hearth can do something with, by name.

    Args:
        model_types: of checkpoints that can be quantized.

    Raises:
        RepositoryUnfit: there is none.
        HubFailed: a file has a name that it must not have here.
    """
    found = [*_genai(repository), *_gguf(repository), *_checkpoint(repository, model_types)]
    if not found:
        raise RepositoryUnfit(repository=repository.name, reason=_why_unfit(repository))
    for choice in found:
        check_paths(choice)
    return tuple(sorted(found, key=lambda choice: choice.name))


def choose(repository: str, offered: Sequence[Choice], pattern: str | None = None) -> Choice:
    """The one choice that has a file whose path fits the pattern, ignoring case; without one, the only choice.

    Raises:
        FileNotFound: none fits.
        FileNotChosen: several do.
    """
    fitting = [choice for choice in offered if pattern is None or _fits(choice, pattern)]
    if not fitting:
        raise FileNotFound(repository=repository, pattern=pattern, names=_names(offered))
    if len(fitting) > 1:
        raise FileNotChosen(repository=repository, names=_names(fitting))
    return fitting[0]


def kinds(names: Iterable[str], model_type: str, model_types: Collection[str]) -> frozenset[Format]:
    """What a repository with files of these names may have."""
    found = set()
    for name in names:
        path = PurePosixPath(name)
        if path.name == genai_config.FILE_NAME:
            found.add(Format.GENAI)
        elif _is_gguf(path):
            found.add(Format.GGUF)
        elif _is_weights(name) and model_type in model_types:
            found.add(Format.CHECKPOINT)
    return frozenset(found)


def _genai(repository: Repository) -> list[Choice]:
    folders = {
        str(path.parent)
        for file in repository.files
        if (path := PurePosixPath(file.path)).name == genai_config.FILE_NAME
    }
    found = []
    for folder in folders:
        inside = "" if folder == "." else folder
        files = tuple(file for file in repository.files if _nearest(file.path, folders) == folder)
        # Hearth writes a manifest of its own there.
        own = f"{inside}/{manifest.FILE_NAME}".lstrip("/").casefold()
        files = tuple(file for file in files if not PurePosixPath(file.path).name.startswith("."))
        files = tuple(file for file in files if file.path.casefold() != own)
        found.append(
            Choice(name=inside or genai_config.FILE_NAME, format=Format.GENAI, folder=inside, files=files)
        )
    return found


def _nearest(path: str, folders: Collection[str]) -> str | None:
    """The innermost of the folders that the file lies in; of the top folder, only what lies in it itself."""
    parents = [str(parent) for parent in PurePosixPath(path).parents]
    return next(
        (parent for parent in parents if parent in folders and (parent != "." or len(parents) == 1)), None
    )


def _gguf(repository: Repository) -> list[Choice]:
    found = list[tuple[RemoteFile, ...]]()
    parts = dict[tuple[str, int], dict[int, RemoteFile]]()
    for file in repository.files:
        if not _is_gguf(PurePosixPath(file.path)):
            continue
        split = _SPLIT_GGUF.fullmatch(file.path)
        if split is None:
            found.append((file,))
        else:
            parts.setdefault((split[1], int(split[3])), {})[int(split[2])] = file
    found += [
        tuple(files[number] for number in sorted(files))
        for (_, count), files in parts.items()
        if sorted(files) == list(range(1, count + 1))
    ]
    return [
        Choice(name=files[0].path, format=Format.GGUF, folder=_parent(files[0].path), files=files)
        for files in found
    ]


def _checkpoint(repository: Repository, model_types: Collection[str]) -> list[Choice]:
    top = {file.path: file for file in repository.files if "/" not in file.path}
    if "config.json" not in top or repository.model_type not in ("", *model_types):
        return []
    for pattern, index in (
        (_WEIGHTS, "model.safetensors.index.json"),
        (_OLD_WEIGHTS, "pytorch_model.bin.index.json"),
    ):
        weights = [path for path in top if pattern.fullmatch(path)]
        if weights:
            beside = [path for path in top if any(fnmatchcase(path, name) for name in _BESIDE_WEIGHTS)]
            taken = sorted({*weights, *beside, *({index} & top.keys())})
            files = tuple(top[path] for path in taken)
            return [Choice(name=repository.name, format=Format.CHECKPOINT, folder="", files=files)]
    return []


def _is_gguf(path: PurePosixPath) -> bool:
    return path.suffix.lower() == ".gguf" and not _BESIDE_GGUF.search(path.stem)


def _is_weights(name: str) -> bool:
    return bool(_WEIGHTS.fullmatch(name) or _OLD_WEIGHTS.fullmatch(name))


def _parent(path: str) -> str:
    parent = str(PurePosixPath(path).parent)
    return "" if parent == "." else parent


def _why_unfit(repository: Repository) -> str:
    names = [file.path for file in repository.files]
    if repository.model_type and any(map(_is_weights, names)):
        return tr("Hearth cannot build models of the kind “{kind}” yet", kind=repository.model_type[:40])
    if any(name.lower().endswith(".gguf") for name in names):
        return tr("its GGUF files are not a whole model")
    return tr("it has no GGUF file, no genai_config.json and no model.safetensors")


def _fits(choice: Choice, pattern: str) -> bool:
    names = (choice.name, *(file.path for file in choice.files))
    return any(fnmatchcase(name.lower(), pattern.lower()) for name in names)


def _names(offered: Sequence[Choice]) -> str:
    names = [choice.name for choice in offered]
    more = ["…"] if len(names) > _NAMED_IN_ERRORS else []
    return ", ".join([*names[:_NAMED_IN_ERRORS], *more])


def check_paths(choice: Choice) -> None:
    """The paths come from a server: none may lead out of a folder, or mean another file on another system.

    Raises:
        HubFailed: one does.
    """
    seen = set[str]()
    for file in choice.files:
        path = file.path
        parts = path.split("/")
        bad = (
            not path.isprintable()
            or len(path) > 1000
            or any(part in ("", ".", "..") or part.endswith((".", " ")) for part in parts)
            or any(character in path for character in '\\:*?"<>|')
            or any(part.lower().partition(".")[0] in RESERVED_ON_WINDOWS for part in parts)
            or path.casefold() in seen
            or (choice.folder and not path.startswith(f"{choice.folder}/"))
        )
        if bad or file.bytes < 0 or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", file.oid):
            raise HubFailed(host=host(), reason=tr("it lists a file “{name}”", name=path[:100]))
        seen.add(path.casefold())
