"""How long the certificate of a Postgres server, and that of its CA, are still valid."""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any

from cinestream_platform.warehouse.connection import PostgresTarget

SOON_DAYS = 14
SECONDS = 5.0
TLS_PLEASE = bytes.fromhex("0000000804d2162f")
"""SSLRequest: https://www.postgresql.org/docs/18/protocol-message-formats.html."""
HAS_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED


def certificate_problem(target: PostgresTarget, now: float | None = None) -> str | None:
    """What is wrong with the certificates, in one sentence; ``None`` if nothing is, or if the server has no TLS.

    Args:
        target: The server, and the file with its CA's certificate if it has one.
        now: Seconds since 1970; the present by default.
    """
    now = time.time() if now is None else now
    name = f"The certificate of the Postgres at {target.host}"
    try:
        if said := _ending(name, _server_end(target), now):
            return said
    except ssl.SSLCertVerificationError as error:
        return f"{name} has expired" if error.verify_code == HAS_EXPIRED else None
    except OSError:  # it is away, or does without TLS: its own look says so
        return None
    file = target.sslrootcert
    return _ending(f"The CA's certificate in {file}", _file_end(file), now) if file and file != "system" else None


def _ending(what: str, end: float | None, now: float) -> str | None:
    if end is None:
        return None
    day = time.strftime("%Y-%m-%d", time.gmtime(end))
    if end <= now:
        return f"{what} expired on {day}"
    return f"{what} expires on {day}" if end - now < SOON_DAYS * 86_400 else None


def _server_end(target: PostgresTarget) -> float | None:
    """When the server's certificate ends. Whether it is to be trusted is libpq's to decide, at every login.

    Python reads only certificates that it trusts: the server's own is fetched first, and then trusted for a moment.
    """
    unverified = _context(ssl.CERT_NONE)
    with _talking(target, unverified) as server:
        own = server.getpeercert(binary_form=True)
    if not own:
        return None
    trusting = _context(ssl.CERT_REQUIRED)
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trusting.load_verify_locations(cadata=own)
    with _talking(target, trusting) as server:
        return _end_of(server.getpeercert() or {})


def _context(mode: ssl.VerifyMode) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = mode
    return context


def _talking(target: PostgresTarget, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection((target.host, target.port), SECONDS)
    try:
        plain.sendall(TLS_PLEASE)
        if plain.recv(1) != b"S":
            raise ConnectionError("the server does without TLS")
        return context.wrap_socket(plain, server_hostname=target.host)
    except BaseException:
        plain.close()
        raise


def _file_end(path: str) -> float | None:
    """When the first certificate of a file ends."""
    context = _context(ssl.CERT_REQUIRED)
    try:
        context.load_verify_locations(path)
    except OSError:  # every login fails, and says so
        return None
    ends = [end for one in context.get_ca_certs() if (end := _end_of(one)) is not None]
    return min(ends, default=None)


def _end_of(certificate: Any) -> float | None:
    end = certificate.get("notAfter")
    return float(ssl.cert_time_to_seconds(end)) if end else None
