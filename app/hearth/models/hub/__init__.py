"""The model hub: what it has, and how that gets here."""

import os

# huggingface_hub reads these when it is imported. Its Xet transfers know no ranges and no resuming; it shall tell
# nobody what runs here, and send a token only where Hearth says so.
for _name in ("HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_IMPLICIT_TOKEN"):
    os.environ[_name] = "1"
