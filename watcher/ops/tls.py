"""The certificate that HTTPS is served with, and how it is renewed without a restart."""

from __future__ import annotations

import ssl
from pathlib import Path

from watcher.core.errors import ConfigurationError


class Tls:
    """What the server speaks TLS with: TLS 1.2 or newer, with the certificate and key that `renew` read last.

    Raises ConfigurationError when the pair cannot be used. The two are small enough to be read while the loop waits.
    """

    def __init__(self, *, cert_file: Path, key_file: Path) -> None:
        self.files = (cert_file, key_file)
        """What to `renew` after, when it changes."""
        self._current = self._read()
        self.context = self._read()
        """What to listen with; it stays the same for ever."""
        # Another certificate loaded into a context in use does not always take the old one's place: a context keeps one
        # for each kind of key, and offers the old kind where the client likes it better.
        self.context.sni_callback = self._use_current

    def renew(self) -> None:
        """Have new connections get what the files hold now; those there are live on.

        Raises ConfigurationError when that cannot be used, and then all stays as it was.
        """
        self._current = self._read()

    def _use_current(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self._current

    def _read(self) -> ssl.SSLContext:
        cert_file, key_file = self.files
        for name, path in (("cert_file", cert_file), ("key_file", key_file)):
            try:
                path.read_bytes()
            except OSError as error:
                raise ConfigurationError(f"web.tls.{name}: cannot read {path}: {error.strerror}") from error
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        try:
            context.load_cert_chain(cert_file, key_file, password=self._has_password)
        except ConfigurationError:
            raise
        except (ssl.SSLError, OSError, ValueError) as error:
            why = _why(error)
            raise ConfigurationError(f"web.tls: cannot use {cert_file} with {key_file}: {why}") from error
        return context

    def _has_password(self) -> str:
        raise ConfigurationError(f"web.tls.key_file: {self.files[1]} wants a password: give a key without one")


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    match reason:
        case "KEY_VALUES_MISMATCH" | "KEY_TYPE_MISMATCH" | "NO_CERTIFICATE_ASSIGNED":
            return "the key is of another certificate"
        case str():
            return reason.lower().replace("_", " ")
        case _:
            return "one of them is not PEM"
