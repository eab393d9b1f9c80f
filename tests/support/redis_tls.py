"""A Redis server that speaks TLS, with certificates made by the openssl command for this test."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from configs.quickstart.server import server_binary
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.requirement import need


@dataclass(slots=True)
class Authority:
    """A certificate authority of our own in a directory."""

    directory: Path

    @property
    def certificate(self) -> Path:
        return self.directory / "ca.crt"

    def create(self) -> None:
        self._openssl("req", "-x509", *_key("ca"), "-out", "ca.crt", "-subj", "/CN=fleetd tests", "-days", "2")

    def issue(self, name: str, hosts: str) -> tuple[Path, Path]:
        """Certificate and key for `hosts`, as in "IP:127.0.0.1,DNS:localhost"."""
        self._openssl("req", "-new", *_key(name), "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (self.directory / f"{name}.ext").write_text(f"subjectAltName={hosts}\n")
        signed_by = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial")
        self._openssl(
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            *signed_by,
            "-out",
            f"{name}.crt",
            "-days",
            "2",
            "-extfile",
            f"{name}.ext",
        )
        return self.directory / f"{name}.crt", self.directory / f"{name}.key"

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self.directory, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def _key(name: str) -> tuple[str, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")


@dataclass(slots=True)
class TlsServer:
    """A server with a TLS port; it asks clients for certificates of `authority` where it was started so."""

    server: RedisServer
    port: int
    authority: Authority


@contextmanager
def authority() -> Iterator[Authority]:
    """A new authority, gone afterwards."""
    need(shutil.which("openssl"), "no openssl command: install openssl")
    with tempfile.TemporaryDirectory(prefix="fleetd-ca-") as directory:
        made = Authority(Path(directory))
        made.create()
        yield made


@contextmanager
def running_tls_server(*, hosts: str = "IP:127.0.0.1", asks_clients: bool = False) -> Iterator[TlsServer]:
    """A server with a certificate for `hosts`."""
    with authority() as ca, tempfile.TemporaryDirectory(prefix="fleetd-redis-") as directory:
        arguments = tls_arguments(ca, "server", hosts)
        port = free_port()
        asks = "yes" if asks_clients else "no"
        server = RedisServer(
            Path(directory),
            free_port(),
            arguments=("--tls-port", str(port), *arguments, "--tls-auth-clients", asks),
        )
        server.start()
        try:
            yield TlsServer(server, port, ca)
        finally:
            server.stop()


def tls_arguments(ca: Authority, name: str, hosts: str) -> tuple[str, ...]:
    """What redis-server is told to serve with a new certificate; skips where it cannot."""
    need(_speaks_tls(), "no redis-server with TLS: install Debian's redis-server")
    certificate, key = ca.issue(name, hosts)
    return (
        *("--tls-cert-file", str(certificate)),
        *("--tls-key-file", str(key)),
        *("--tls-ca-cert-file", str(ca.certificate)),
    )


def _speaks_tls() -> bool:
    """Whether the server misses its certificate first, and not TLS."""
    binary = server_binary()
    if binary is None:
        return False
    asked = subprocess.run(
        [binary, "--port", "0", "--tls-port", "1"], capture_output=True, text=True, check=False, timeout=20
    )
    return "No tls-cert-file configured" in asked.stdout
