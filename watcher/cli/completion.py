"""What typer's completion lacks in zsh: zsh's own completions hold that `watcher` is OpenStack's, and come first."""

from __future__ import annotations

from pathlib import Path

_LINE = "source ~/.zfunc/_watcher  # else zsh completes this as OpenStack's watcher"


def finish_installing() -> None:
    """Have zsh read, at its start, the completion that typer has just written for it, if it has."""
    zshrc = Path.home() / ".zshrc"
    if not (Path.home() / ".zfunc" / "_watcher").is_file() or not zshrc.is_file():
        return
    text = zshrc.read_text(encoding="utf-8")
    if _LINE not in text.splitlines():
        zshrc.write_text(f"{text}{_LINE}\n", encoding="utf-8")
