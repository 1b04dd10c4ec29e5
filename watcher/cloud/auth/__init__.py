"""Ways to prove to the cloud who we are, one file each.

To add one: a file with its settings section (`method`, `authenticator(context)`) and its line in `AuthSettings`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from watcher.cloud.auth.aksk import AkskSettings
from watcher.cloud.auth.auto import AutoSettings
from watcher.cloud.auth.metadata import MetadataSettings
from watcher.cloud.auth.password import PasswordSettings
from watcher.cloud.auth.token import TokenSettings

AuthSettings = Annotated[
    AutoSettings | AkskSettings | TokenSettings | PasswordSettings | MetadataSettings,
    Field(discriminator="method"),
]
"""The configuration of any method; `authenticator(context)` builds what it configures."""
