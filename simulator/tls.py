"""Creates a certificate authority for one run, whose certificates the servers present and the app trusts."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import aiohttp.connector
import trustme

from simulator.http2 import ALPN


@dataclass(frozen=True)
class Tls:
    """The files that other programs read, and the context of our own servers."""

    ca_file: Path
    """What `SSL_CERT_FILE` names."""
    cert_file: Path
    key_file: Path
    server: ssl.SSLContext
    server_of_http2: ssl.SSLContext
    """Also lets a client choose HTTP/2."""

    def client(self) -> ssl.SSLContext:
        """A context that trusts this run's servers and nothing else."""
        return ssl.create_default_context(cafile=str(self.ca_file))


def make_tls(folder: Path) -> Tls:
    """Makes the authority and a certificate for 127.0.0.1 and localhost; the files go to `folder`."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    made = Tls(
        ca_file=folder / "ca.pem",
        cert_file=folder / "server.pem",
        key_file=folder / "server-key.pem",
        server=ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        server_of_http2=ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
    )
    authority.cert_pem.write_to_path(str(made.ca_file))
    made.key_file.touch(mode=0o600)
    certificate.private_key_pem.write_to_path(str(made.key_file))
    for number, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(str(made.cert_file), append=number > 0)
    for context in (made.server, made.server_of_http2):
        certificate.configure_cert(context)
    made.server_of_http2.set_alpn_protocols(ALPN)
    return made


def trust_in_this_process(ca_file: Path) -> None:
    """Lets aiohttp clients of this very process trust the authority.

    aiohttp makes its default context when it is imported, so an `SSL_CERT_FILE` that is set afterwards (the simulator
    itself imports aiohttp) reaches httpx but not azure-core. Processes started with the variable need none of this.
    """
    context: ssl.SSLContext = aiohttp.connector._SSL_CONTEXT_VERIFIED  # noqa: SLF001 (no public way to it)
    context.load_verify_locations(cafile=str(ca_file))
