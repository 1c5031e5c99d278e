"""The errors that a person may see: what happened, and what to do about it.

An error is a code, parameters and two sentences. The sentences are templates that are translated when they are
shown, never when they are raised, so that an error can cross a process or sit in the database and still be read in
the reader's language. Everything that leaves Hearth as an error is one of these; anything else is a bug.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, ClassVar

from hearth.i18n import mark, tr


class HearthError(Exception):
    """Base of the family.

    Attributes:
        code: stable name, written to the wire, the log and the database.
        what: template of the sentence that says what happened.
        remedy: template of the sentence that says what to do.
        params: values for both templates; plain strings and numbers.
    """

    code: ClassVar[str] = "error"
    what: ClassVar[str] = mark("Something went wrong: {detail}")
    remedy: ClassVar[str] = mark("The log file has the details.")

    by_code: ClassVar[dict[str, type[HearthError]]] = {}

    def __init_subclass__(cls) -> None:
        HearthError.by_code[cls.code] = cls

    def __init__(self, **params: Any) -> None:
        self.params = params
        super().__init__(self.code, params)

    @staticmethod
    def from_code(code: str, params: dict[str, Any]) -> HearthError:
        """The error that travelled as `code` and `params`; an unknown code keeps what it can say."""
        cls = HearthError.by_code.get(code)
        if cls is None:
            return HearthError(detail=f"{code} {params}")
        return cls(**params)

    def what_text(self) -> str:
        return tr(self.what, **self.params)

    def remedy_text(self) -> str:
        return tr(self.remedy, **self.params)

    def __str__(self) -> str:
        return tr("{what} {remedy}", what=self.what_text(), remedy=self.remedy_text())

    def __reduce__(self) -> tuple[Any, ...]:
        return HearthError.from_code, (self.code, self.params)


HearthError.by_code[HearthError.code] = HearthError


# The home folder, its settings and its database


class HomeUnwritable(HearthError):
    code = "home_unwritable"
    what = mark("Hearth cannot write to its folder {path} ({reason}).")
    remedy = mark("Make the folder writable, or set HEARTH_HOME to another folder.")


class DiskFull(HearthError):
    code = "disk_full"
    what = mark("There is not enough free space in {path}.")
    remedy = mark("Free some space on that disk and try again; nothing was lost.")


_REASONS = {
    errno.EACCES: mark("no permission"),
    errno.EPERM: mark("no permission"),
    errno.EROFS: mark("the disk is read-only"),
    errno.ENOSPC: mark("the disk is full"),
    errno.EDQUOT: mark("the disk quota is used up"),
    errno.ENOENT: mark("it does not exist"),
    errno.ENOTDIR: mark("a part of its path is not a folder"),
    errno.EISDIR: mark("it is a folder"),
    errno.EEXIST: mark("it exists already"),
    errno.ENOTEMPTY: mark("the folder is not empty"),
    errno.EBUSY: mark("it is in use"),
    errno.EIO: mark("the disk cannot be read or written"),
    errno.ENAMETOOLONG: mark("its name is too long"),
    errno.EFBIG: mark("the disk allows no file that large"),
    errno.ELOOP: mark("its links lead in a circle"),
    errno.EMFILE: mark("too many files are open"),
}


def because(error: OSError) -> str:
    """Why the system refused, in the reader's language where the reason is a usual one."""
    known = _REASONS.get(error.errno or 0)
    return tr(known) if known else error.strerror or str(error)


def writing_failed(folder: Path, error: OSError) -> HearthError:
    """The error that says why `folder` could not be written to."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(path=str(folder))
    return HomeUnwritable(path=str(folder), reason=because(error))


class ConfigUnknownKey(HearthError):
    code = "config_unknown_key"
    what = mark("{path} has an unknown setting “{key}”.")
    remedy = mark("Did you mean “{nearest}”? Correct or remove it.")


class ConfigInvalid(HearthError):
    code = "config_invalid"
    what = mark("{path} cannot be used: {reason}.")
    remedy = mark("Correct that line, or remove the file to start again with the defaults.")


class DatabaseFromTheFuture(HearthError):
    code = "database_from_the_future"
    what = mark("The database {path} was written by a newer version of Hearth.")
    remedy = mark("Update Hearth, or set HEARTH_HOME to another folder to start afresh.")


class DatabaseDamaged(HearthError):
    code = "database_damaged"
    what = mark("The database {path} cannot be read ({reason}).")
    remedy = mark("Put back a copy of it, or move it away to start afresh.")


class DatabaseBusy(HearthError):
    code = "database_busy"
    what = mark("The database {path} is held by another program.")
    remedy = mark("Close the program that holds it and try again.")


# Conversations


class ConversationNotFound(HearthError):
    code = "conversation_not_found"
    what = mark("That conversation is not here any more.")
    remedy = mark("It may have been deleted in another window; choose another one.")


class MessageNotFound(HearthError):
    code = "message_not_found"
    what = mark("That message is not here any more.")
    remedy = mark("It may have been deleted in another window; open the conversation again.")


# Models and their folders


class ModelNotFound(HearthError):
    code = "model_not_found"
    what = mark("There is no model named “{name}”.")
    remedy = mark("“hearth models list” shows the models that are here.")


class ModelNameInvalid(HearthError):
    code = "model_name_invalid"
    what = mark("“{name}” cannot be the name of a model.")
    remedy = mark(
        "Use 1 to 64 small letters, digits, dots, dashes and underscores, starting with a letter or digit,"
        " for example “{suggestion}”."
    )


class ModelNameTaken(HearthError):
    code = "model_name_taken"
    what = mark("There is already a model named “{name}”.")
    remedy = mark("Choose another name, or remove that model first.")


class ModelFolderMissing(HearthError):
    code = "model_folder_missing"
    what = mark("The folder {path} does not exist.")
    remedy = mark("Check the path; if it was on another disk, connect that disk.")


class ModelFileMissing(HearthError):
    code = "model_file_missing"
    what = mark("{folder} is not a complete model folder: {file} is missing.")
    remedy = mark(
        "Copy or download it again. A model to import is in the onnxruntime-genai format, one to quantize as Hugging Face"
        " has it."
    )


class ModelFileInvalid(HearthError):
    code = "model_file_invalid"
    what = mark("{file} cannot be used: {reason}.")
    remedy = mark("The file is damaged or not what it should be; copy or download the model again.")


class ModelFileTruncated(HearthError):
    code = "model_file_truncated"
    what = mark("{file} is too short: it has {actual} bytes and the model needs {expected}.")
    remedy = mark("Copy or download the model again.")


class ModelFileOutside(HearthError):
    code = "model_file_outside"
    what = mark("{file} leads out of the model's folder, to {target}.")
    remedy = mark("Do not use this model: a model must keep its files in its own folder.")


class ModelFileChanged(HearthError):
    code = "model_file_changed"
    what = mark("{file} is not the file that was imported: its checksum differs.")
    remedy = mark("Import the model again if you did not change it yourself.")


class ModelUnsupported(HearthError):
    code = "model_unsupported"
    what = mark("Hearth cannot run {name}: {reason}.")
    remedy = mark("Choose a decoder-only text model, as a GGUF file or in the onnxruntime-genai format.")


# The quantizer and its quality report


class ArchitectureUnsupported(ModelUnsupported):
    code = "architecture_unsupported"
    what = mark("Hearth cannot quantize {name}: {reason}.")
    remedy = mark("Take another model, or import this one as somebody has made it for onnxruntime-genai.")


class CheckpointUnsupported(HearthError):
    code = "checkpoint_unsupported"
    what = mark("Hearth cannot quantize {name}: {reason}.")
    remedy = mark(
        "Take the checkpoint that its authors published, with weights as floats in safetensors files."
    )


class TokenizerMissing(HearthError):
    code = "tokenizer_missing"
    what = mark("{folder} has no tokenizer.json, the only form of tokenizer that Hearth reads.")
    remedy = mark(
        "Take it from where the model was published, or have transformers make it of the other files:"
        " AutoTokenizer.from_pretrained(folder).save_pretrained(folder)."
    )


class FloatsTooLarge(HearthError):
    code = "floats_too_large"
    what = mark("The weights {tensor} have numbers beyond 65,504, the largest that 16 bits hold.")
    remedy = mark("Take a recipe that keeps them in 32 bits, with the target “cpu”.")


class QuantizeRoom(HearthError):
    code = "quantize_room"
    what = mark("The model will take {needed} MB in {path}, and {free} MB are free.")
    remedy = mark("Free some space on that disk and try again, or choose a recipe with fewer bits.")


class QuantizeMemory(HearthError):
    code = "quantize_memory"
    what = mark("Quantizing this model takes {needed} MB of memory, and {free} MB are free.")
    remedy = mark("Close other programs and try again.")


class QuantizeMemoryRecipe(QuantizeMemory):
    code = "quantize_memory_recipe"
    remedy = mark("Take the recipe “{recipe}”, which needs {less} MB, or close other programs and try again.")


class QuantizeBusy(HearthError):
    code = "quantize_busy"
    what = mark("{name} is being quantized already.")
    remedy = mark("Wait until that is done, or stop it.")


class QuantizeCrashed(HearthError):
    code = "quantize_crashed"
    what = mark("The process that quantized {name} ended before it was done ({reason}).")
    remedy = mark(
        "What it had done is kept: try again, and it goes on from there. The log file has the details."
    )


class QuantizeCancelled(HearthError):
    code = "quantize_cancelled"
    what = mark("Quantizing {name} was stopped.")
    remedy = mark("What is done is kept: the same command goes on from there, and with --discard removes it.")


class MeasuringCrashed(HearthError):
    code = "measuring_crashed"
    what = mark("The process that measured {name} ended before it was done ({reason}).")
    remedy = mark(
        "Try again. If it happens again, the model may be too large for this machine's memory; the log file has the details."
    )


class MeasuringCancelled(HearthError):
    code = "measuring_cancelled"
    what = mark("Measuring {name} was stopped.")
    remedy = mark("Nothing of it was kept.")


class RecipeUnknown(HearthError):
    code = "recipe_unknown"
    what = mark("There is no recipe “{name}”; there are {names}.")
    remedy = mark("Did you mean “{nearest}”? A file of your own is given by its path.")


class RecipeUnknownKey(HearthError):
    code = "recipe_unknown_key"
    what = mark("The recipe {path} has an unknown key “{key}”.")
    remedy = mark("Did you mean “{nearest}”? Correct or remove it.")


class RecipeOverrideUnmatched(HearthError):
    code = "recipe_override_unmatched"
    what = mark(
        "The recipe “{recipe}” has an override for “{pattern}”, and no matrix of the model is called that."
    )
    remedy = mark("Did you mean “{nearest}”? Correct or remove it.")


class RecipeInvalid(HearthError):
    code = "recipe_invalid"
    what = mark("The recipe {path} cannot be used: {reason}.")
    remedy = mark("Correct it, or take one of the recipes that come with Hearth.")


class BudgetTooSmall(HearthError):
    code = "budget_too_small"
    what = mark(
        "The recipe's budget is {missing} bytes less than its fewest bits take, which are {least} bits per weight."
    )
    remedy = mark("Raise the budget, or allow fewer bits.")


class CalibrationInvalid(HearthError):
    code = "calibration_invalid"
    what = mark("The calibration text {source} cannot be used: {reason}.")
    remedy = mark("Take another text file, or “built-in”.")


class ModelNotFinite(HearthError):
    code = "model_not_finite"
    what = mark("The new model would answer nothing: what it computes are not numbers. It was not kept.")
    remedy = mark(
        "Try another recipe. If that ends the same way, the original is damaged: fetch it again, or take another model."
    )


# Models that run, here or on a server


class ModelLoadFailed(HearthError):
    code = "model_load_failed"
    what = mark("{name} could not be loaded: {reason}.")
    remedy = mark("“hearth models verify {name}” checks its files; the log file has the details.")


class EngineMissing(HearthError):
    code = "engine_missing"
    what = mark("{name} is a {format} model, and what runs those is not installed.")
    remedy = mark("Install it with: pip install 'hearth[{extra}]'.")


class RemoteFailed(HearthError):
    code = "remote_failed"
    what = mark("{name} did not answer: {reason}.")
    remedy = mark("Check the address and whether the server runs, and try again.")


class RemoteRefused(HearthError):
    code = "remote_refused"
    what = mark("The server of {name} refused the key.")
    remedy = mark(
        "Give it the right one: Change Key… on its page in the window Models, or hearth models set-key {name}"
    )


class RemoteModelMissing(HearthError):
    code = "remote_model_missing"
    what = mark("The server of {name} has no model “{model}”, or nothing at that address.")
    remedy = mark("Check address and model, remove {name}, and add it again as it should be.")


class RemoteBusy(HearthError):
    code = "remote_busy"
    what = mark("The server of {name} has too much to do; it asks to wait {seconds} seconds.")
    remedy = mark("Try again after that.")


class OfflineMode(HearthError):
    code = "offline_mode"
    what = mark("{name} runs on a server, and HEARTH_OFFLINE=1 forbids every connection.")
    remedy = mark("Start Hearth without HEARTH_OFFLINE, or use a model that is on this machine.")


class DraftModelUnfit(HearthError):
    code = "draft_model_unfit"
    what = mark("{name} cannot guess for another model: {reason}.")
    remedy = mark("In config.toml, name a smaller model of the same family as engine.draft_model, or none.")


class ReferenceUnfit(HearthError):
    code = "reference_unfit"
    what = mark("{name} cannot be the reference of {model}: {reason}.")
    remedy = mark("Compare a model with another form of the same model, such as one with more bits.")


# What is done with models


class ModelInUse(HearthError):
    code = "model_in_use"
    what = mark("{name} is loaded and cannot be removed or renamed.")
    remedy = mark("Unload it first.")


class ModelAnswering(HearthError):
    code = "model_answering"
    what = mark("{name} is answering at this moment.")
    remedy = mark("Wait until its answers are complete, or stop them, and try again.")


class ModelSettingUnknown(HearthError):
    code = "model_setting_unknown"
    what = mark("A model has no setting “{key}”.")
    remedy = mark("Did you mean “{nearest}”?")


class ModelSettingInvalid(HearthError):
    code = "model_setting_invalid"
    what = mark("“{key}” must be {expected}.")
    remedy = mark("Give such a value; the settings are as they were.")


class FoundModelUnknown(HearthError):
    code = "found_model_unknown"
    what = mark("No other app has a model that “{name}” names.")
    remedy = mark("“hearth models find” shows what there is.")


class FoundModelUnquantized(HearthError):
    code = "found_model_unquantized"
    what = mark("{name} is an unquantized checkpoint, which is to be quantized first.")
    remedy = mark("Make a model of it with: hearth quantize “{path}” NAME")


class FileManagerMissing(HearthError):
    code = "file_manager_missing"
    what = mark("The folder {path} cannot be shown: no file manager answered.")
    remedy = mark("Open it by hand.")


class ModelBuiltIn(HearthError):
    code = "model_built_in"
    what = mark("{name} is part of Hearth: it cannot be removed or get another name.")
    remedy = mark("It takes little space; import a model of your own to chat with another one.")


class ModelsBusy(HearthError):
    code = "models_busy"
    what = mark("Models are being imported or moved at this moment.")
    remedy = mark("Wait until that is done, or cancel it, and try again.")


class ModelsFolderUnusable(HearthError):
    code = "models_folder_unusable"
    what = mark("{path} cannot hold the models: {reason}.")
    remedy = mark("Choose another folder.")


class ModelsFolderTaken(HearthError):
    code = "models_folder_taken"
    what = mark("{path} is there already and is not the model of that name.")
    remedy = mark("Choose another folder, or move that one away first.")


class MoveCancelled(HearthError):
    code = "move_cancelled"
    what = mark("Moving the models was stopped.")
    remedy = mark("All of them are where they were.")


class OldModelsStay(HearthError):
    code = "old_models_stay"
    what = mark("The models were moved, but {path} could not be deleted ({reason}).")
    remedy = mark("Hearth tries again when it next starts; you may also delete that folder yourself.")


class ImportCancelled(HearthError):
    code = "import_cancelled"
    what = mark("The import was stopped.")
    remedy = mark("Nothing of it was kept.")


class VerifyCancelled(HearthError):
    code = "verify_cancelled"
    what = mark("Verifying {name} was stopped.")
    remedy = mark("Nothing was changed; it can be begun again at any time.")


# The model hub, and what is fetched from it


class HubOffline(HearthError):
    code = "hub_offline"
    what = mark("Hearth is told to stay offline, so {host} is not asked.")
    remedy = mark("Unset HEARTH_OFFLINE and try again.")


class HubUnreachable(HearthError):
    code = "hub_unreachable"
    what = mark("{host} cannot be reached ({reason}).")
    remedy = mark(
        "Check the connection to the internet, and the proxy and HF_ENDPOINT if you use them, and try again; what is fetched is kept."
    )


class HubBusy(HearthError):
    code = "hub_busy"
    what = mark("{host} takes no more requests for now.")
    remedy = mark("Try again in {seconds} seconds; what is fetched is kept.")


class HubFailed(HearthError):
    code = "hub_failed"
    what = mark("{host} gave no usable answer ({reason}).")
    remedy = mark("Try again later; what is fetched is kept.")


class HubRefused(HearthError):
    code = "hub_refused"
    what = mark("{host} does not give {repository} to you ({reason}).")
    remedy = mark("Look at its page there; “hearth models login” tells Hearth who you are.")


class TokenRefused(HearthError):
    code = "token_refused"
    what = mark("{host} does not accept the token.")
    remedy = mark("Make a new one at {page}, then: hearth models login")


class TokenMissing(HearthError):
    code = "token_missing"
    what = mark("No token was given.")
    remedy = mark("Make one at {page} and paste it, or pass it on standard input.")


class KeyStoreUnusable(HearthError):
    code = "key_store_unusable"
    what = mark("This system has no key store that Hearth can use ({reason}).")
    remedy = mark(
        "Set one up, such as GNOME Keyring or KWallet, or unlock it; Hearth writes keys nowhere else. For the model hub"
        " alone, HEARTH_HUB_TOKEN does instead."
    )


class RepositoryNameInvalid(HearthError):
    code = "repository_name_invalid"
    what = mark("“{name}” cannot be the name of a repository.")
    remedy = mark("Write it as its page has it, for example Qwen/Qwen2.5-1.5B-Instruct.")


class RepositoryNotFound(HearthError):
    code = "repository_not_found"
    what = mark("There is no repository {repository} on {host}, or it is private.")
    remedy = mark("Check the name; for a private one, first: hearth models login")


class RevisionNotFound(HearthError):
    code = "revision_not_found"
    what = mark("{repository} has no revision {revision}.")
    remedy = mark("Leave it out for the newest, or name a branch, a tag or a commit.")


class RepositoryGated(HearthError):
    code = "repository_gated"
    what = mark("{repository} is only for those who have accepted its terms.")
    remedy = mark("Accept them at {page}, then: hearth models login")


class RepositoryUnfit(HearthError):
    code = "repository_unfit"
    what = mark("{repository} has nothing that Hearth can run or quantize ({reason}).")
    remedy = mark("“hearth models search” finds repositories that have.")


class FileNotChosen(HearthError):
    code = "file_not_chosen"
    what = mark("{repository} has several models: {names}.")
    remedy = mark("Choose one of them with --file.")


class FileNotFound(HearthError):
    code = "file_not_found"
    what = mark("No model in {repository} fits “{pattern}”; it has {names}.")
    remedy = mark("Choose one of them with --file.")


class FileNotAsListed(HearthError):
    code = "file_not_as_listed"
    what = mark("{file} does not arrive as {repository} lists it: {reason}.")
    remedy = mark("Try again later; if that does not help, something on the way changes files.")


class DownloadRoom(HearthError):
    code = "download_room"
    what = mark("The download takes {needed} MB more in {path}, and {free} MB are free.")
    remedy = mark("Free some space on that disk and try again; what is fetched is kept.")


class DownloadBusy(HearthError):
    code = "download_busy"
    what = mark("{name} is being fetched already.")
    remedy = mark("Wait until that is done, or stop it.")


class DownloadStopped(HearthError):
    code = "download_stopped"
    what = mark("The download of {name} was stopped.")
    remedy = mark(
        "What is fetched is kept: the same command goes on from there, and with --discard removes it."
    )


class DownloadNotFound(HearthError):
    code = "download_not_found"
    what = mark("There is no download of {name}.")
    remedy = mark("It may be done, or removed in another window.")


# Models and checkpoints on their way


class ModelNameOnItsWay(HearthError):
    code = "model_name_on_its_way"
    what = mark("A model named “{name}” is on its way already.")
    remedy = mark("Choose another name, or cancel that one first.")


class InstallBusy(HearthError):
    code = "install_busy"
    what = mark("Another Hearth works on {name} at this moment.")
    remedy = mark("Wait until that is done, or stop it there.")


class InstallNotFound(HearthError):
    code = "install_not_found"
    what = mark("{name} is not on its way any more.")
    remedy = mark("It may be done, or cancelled in another window.")


class InstallDamaged(HearthError):
    code = "install_damaged"
    what = mark("What Hearth has noted of {name}, which is on its way, cannot be read.")
    remedy = mark("Try again. If that does not help, cancel it and add the model again.")


class CheckpointMissing(HearthError):
    code = "checkpoint_missing"
    what = mark("The checkpoint {name} is not on this machine.")
    remedy = mark("Fetch it again.")


class CheckpointNotFetched(CheckpointMissing):
    code = "checkpoint_not_fetched"
    what = mark("There is no folder {name} here, and no checkpoint of that name was fetched.")
    remedy = mark("Check the path, or fetch it first: hearth models pull {name}")


class CheckpointNoFolder(HearthError):
    code = "checkpoint_no_folder"
    what = mark("{path} is a file, and a checkpoint is a folder.")
    remedy = mark("Give the folder that has all its files, with config.json and tokenizer.json.")


class CheckpointNeeded(HearthError):
    code = "checkpoint_needed"
    what = mark("The checkpoint {name} is still needed for the model {model}.")
    remedy = mark("Wait until that model is done, or cancel it first.")


# Answers


class PromptTooLong(HearthError):
    code = "prompt_too_long"
    what = mark("The prompt has {tokens} tokens; this model reads at most {limit}.")
    remedy = mark("Shorten it, or choose a model with a longer context.")


class ChatTemplateMissing(HearthError):
    code = "chat_template_missing"
    what = mark("{name} has no chat template: it continues text and does not answer questions.")
    remedy = mark("Use raw completion (“hearth run --raw”), or choose a chat model.")


class ChatTemplateFailed(HearthError):
    code = "chat_template_failed"
    what = mark("The chat template of {name} refused these messages: {reason}.")
    remedy = mark("Try without a system prompt, or choose another model.")


class RequestInvalid(HearthError):
    code = "request_invalid"
    what = mark("The request cannot be run: {reason}.")
    remedy = mark("Correct that value and try again.")


class ModelRunFailed(HearthError):
    code = "model_run_failed"
    what = mark("{name} failed while computing: {reason}.")
    remedy = mark(
        "Retry; if it happens again, the model may be damaged or too large for this machine's memory."
    )


class HostCrashed(HearthError):
    code = "host_crashed"
    what = mark("The engine of {name} stopped unexpectedly ({reason}).")
    remedy = mark(
        "Retry loads it again. If it happens again, the model may be too large for this machine's memory."
    )


class HostHung(HearthError):
    code = "host_hung"
    what = mark("The engine of {name} did not respond for {seconds} seconds and was ended.")
    remedy = mark("Retry loads it again.")


class HostProtocol(HearthError):
    code = "host_protocol"
    what = mark("The engine of {name} speaks protocol {theirs}, this Hearth speaks {ours}.")
    remedy = mark("Install Hearth again so that both parts have the same version.")


class ModelUnloaded(HearthError):
    code = "model_unloaded"
    what = mark("{name} was unloaded before the answer was complete.")
    remedy = mark("Retry loads it again.")


# Fronts


class QtMissing(HearthError):
    code = "qt_missing"
    what = mark("The window needs PySide6, which is not installed here ({reason}).")
    remedy = mark(
        "Install it with: pip install 'hearth[desktop]'. Everything else works without it: hearth --help."
    )


class WindowNotAnswering(HearthError):
    code = "window_not_answering"
    what = mark("Hearth is open already, but its window does not answer.")
    remedy = mark("Close that window, or end its process, and start Hearth again.")


class NoModels(HearthError):
    code = "no_models"
    what = mark("There is no model here yet.")
    remedy = mark("Import a model folder with: hearth models import FOLDER")


class ModelNotChosen(HearthError):
    code = "model_not_chosen"
    what = mark("There are several models here: {names}.")
    remedy = mark("Name one of them: hearth chat MODEL")


class CommandInvalid(HearthError):
    code = "command_invalid"
    what = mark("The command cannot be understood: {reason}.")
    remedy = mark("“{command} --help” shows what it takes.")


class InputInvalid(HearthError):
    code = "input_invalid"
    what = mark("The input cannot be used: {reason}.")
    remedy = mark("Pass it as UTF-8 text.")
