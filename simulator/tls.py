"""Creates a certificate authority for one run, whose certificates the servers present and the app trusts."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import aiohttp.connector
import trustme

from simulator.http2 import ALPN


@dataclass(frozen=True)
class Tls:
    """The files for other programs, and the contexts for the simulator's servers."""

    ca_file: Path
    """The value of `SSL_CERT_FILE`."""
    cert_file: Path
    key_file: Path
    server: ssl.SSLContext
    server_of_http2: ssl.SSLContext
    """The context that also offers HTTP/2."""

    def client(self) -> ssl.SSLContext:
        """Return a context that trusts only this run's servers."""
        return ssl.create_default_context(cafile=str(self.ca_file))


def make_tls(folder: Path) -> Tls:
    """Create the authority and a certificate for 127.0.0.1 and localhost, with their files in `folder`."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    tls = Tls(
        ca_file=folder / "ca.pem",
        cert_file=folder / "server.pem",
        key_file=folder / "server-key.pem",
        server=ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        server_of_http2=ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
    )
    authority.cert_pem.write_to_path(str(tls.ca_file))
    tls.key_file.touch(mode=0o600)
    certificate.private_key_pem.write_to_path(str(tls.key_file))
    for number, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(str(tls.cert_file), append=number > 0)
    for context in (tls.server, tls.server_of_http2):
        certificate.configure_cert(context)
    tls.server_of_http2.set_alpn_protocols(ALPN)
    return tls


def trust_in_this_process(ca_file: Path) -> None:
    """Make the aiohttp clients of this process trust the authority.

    aiohttp makes its default context when it is imported, so an `SSL_CERT_FILE` that is set afterwards (the simulator
    itself imports aiohttp) reaches httpx but not azure-core. Processes started with the variable need none of this.
    """
    context: ssl.SSLContext = aiohttp.connector._SSL_CONTEXT_VERIFIED  # noqa: SLF001 (no public way to it)
    context.load_verify_locations(cafile=str(ca_file))
