"""Names that models will have that are on their way: nobody else should take one meanwhile."""

from __future__ import annotations

from pathlib import Path

from hearth.errors import ModelNameOnItsWay
from hearth.models.hub.choices import Format
from hearth.models.hub.download_folder import DownloadFolders
from hearth.models.hub.install_folder import InstallFolders
from hearth.models.workspace import DOWNLOADS, INSTALLS


def names_on_the_way(models: Path) -> dict[str, str]:
    """Who brings a model of which name, by the id of the download or install."""
    names = {
        job.name: folder.id
        for folder, job in DownloadFolders(models / DOWNLOADS).list()
        if job.format is not Format.CHECKPOINT
    }
    return names | {note.name: folder.id for folder, note in InstallFolders(models / INSTALLS).list()}


def check_not_on_the_way(models: Path, name: str, own: str = "") -> None:
    """Raise ModelNameOnItsWay where a download or install, other than `own`, brings a model of that name."""
    if names_on_the_way(models).get(name, own) != own:
        raise ModelNameOnItsWay(name=name)
