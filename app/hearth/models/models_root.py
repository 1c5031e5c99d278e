"""The folder that the user's models are in: whether it is there."""

from __future__ import annotations

import os
from pathlib import Path

from hearth.errors import ModelFolderMissing, ModelsFolderUnusable, because
from hearth.i18n import tr
from hearth.paths import models_folder


def check_models_folder(root: Path) -> None:
    """See whether the folder is there that the user chose. Hearth's default folder comes with the first model.

    Raises:
        ModelFolderMissing: it is not there, as when its disk is unplugged.
        ModelsFolderUnusable: it is no folder, or cannot be read.
    """
    if root == models_folder():
        return
    try:
        with os.scandir(root):
            return
    except FileNotFoundError as error:
        raise ModelFolderMissing(path=str(root)) from error
    except NotADirectoryError as error:
        raise ModelsFolderUnusable(path=str(root), reason=tr("it is not a folder")) from error
    except OSError as error:
        raise ModelsFolderUnusable(path=str(root), reason=because(error)) from error
