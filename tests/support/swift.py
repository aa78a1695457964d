"""A real, durable S3 server for the tests: OpenStack Swift with its S3 API and its own authentication.

moto answers every request, whoever signs it, from memory. What the platform promises about refused credentials, stale
ETags and killed servers can only be shown on a server that checks signatures and writes to a disk. Swift is the one
such server that pip alone can install: PyECLib's wheel brings liberasurecode, nothing is compiled, no root is needed.

One replica, one device, four processes on loopback (account, container, object, proxy); no memcached, no keystone,
no syslog. Swift lives in an environment of its own, made once and reused, because its dependencies are not ours.

The pins in ``swift-requirements.txt`` come from::

    echo swift | uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
        --no-emit-index-url - -o tests/support/swift-requirements.txt
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REQUIREMENTS = Path(__file__).with_name("swift-requirements.txt")
REPOSITORY = Path(__file__).resolve().parents[2]

INSTALL_TIMEOUT = 240.0  # seconds; 13 s were measured on 2 cores. Twice this fits into pytest's limit of 600 s
START_TIMEOUT = 90.0  # seconds; 2.5 s were measured on 2 cores, a loaded CI machine needs far more
STOP_TIMEOUT = 15.0

STORAGE_SERVERS = ("account", "container", "object")
SERVERS = (*STORAGE_SERVERS, "proxy")  # in the order of starting: the proxy answers only with the others behind it

# Linux kills the server when the thread that started it ends, so that a killed test run leaves no server behind.
# The program is a file of swift's own environment and the rest are its arguments: no secret is among them.
_LAUNCHER = """
import ctypes, runpy, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

# The three rings of a cluster with a single device. 16 partitions are plenty for one disk and make few folders.
_RING_MAKER = """
import json, sys
from swift.common.ring import RingBuilder
for path, port in json.load(sys.stdin).items():
    builder = RingBuilder(part_power=4, replicas=1, min_part_hours=1)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1.0, "ip": "127.0.0.1", "port": port, "device": "disk"})
    builder.rebalance(seed=1)
    builder.get_ring().save(path)
"""

_COMMON = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
# Without a fork the process that was started is the server, and a signal to it is a signal to the server.
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_level = INFO
log_name = {server}
# Swift always adds a syslog handler. The discard port keeps its lines out of the machine's own log;
# --verbose writes them to stderr, which is a file.
log_udp_host = 127.0.0.1
log_udp_port = 9
"""

_STORAGE = """
[pipeline:main]
pipeline = healthcheck {server}-server

[filter:healthcheck]
use = egg:swift#healthcheck

[app:{server}-server]
use = egg:swift#{server}
# No updater runs here: a listing that was not told of an object within this time would never be told.
# Swift's default is 1 s, which a loaded CI machine misses.
container_update_timeout = 60
conn_timeout = 10
node_timeout = 60
"""

# The order is the one of Swift's proxy-server.conf-sample. s3api must precede tempauth (it prepares the signature
# that tempauth checks), slo is what multipart uploads are made of, copy serves CopyObject. No `cache`: it would only
# save requests to the account and container servers, and only with a memcached.
_PROXY = """
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging listing_formats s3api tempauth copy slo dlo \
versioned_writes symlink proxy-server

[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = {region}
max_bucket_listing = {listing_limit}
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{login} = {secret_key} .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
conn_timeout = 10
node_timeout = 60
recoverable_node_timeout = 60
# With one replica there is no other node to turn to: never put the only one aside after errors.
error_suppression_limit = 1000000
"""

_SWIFT_CONF = """
[swift-hash]
swift_hash_path_prefix = {prefix}
swift_hash_path_suffix = {suffix}

[storage-policy:0]
name = single
default = yes
"""


class SwiftUnavailableError(RuntimeError):
    """This machine cannot run Swift; the message says why."""


def swift_available(folder: Path | None = None) -> str | None:
    """Why Swift cannot run here, or None; installs it on the first call.

    Args:
        folder: where the server's data will be, the folder for temporary files by default.

    Raises:
        RuntimeError: a package was found, but not the one that the requirements pin by its hash. That is not a missing
            network and must not pass for a skipped test.
    """
    try:
        _check_machine(folder or Path(tempfile.gettempdir()))
        swift_environment()
    except SwiftUnavailableError as error:
        return str(error)
    return None


def _check_machine(folder: Path) -> None:
    """Raise SwiftUnavailableError where a server with its data in `folder` could not work."""
    if not hasattr(os, "setxattr"):
        raise SwiftUnavailableError(f"Swift needs Linux's extended attributes; this is {sys.platform}")
    _user_name()
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        try:
            # An object's metadata takes some hundred bytes, more than a kernel's token support would hold.
            os.setxattr(file.name, "user.swift.metadata", b"x" * 1024)
        except OSError as error:
            raise SwiftUnavailableError(
                f"Swift keeps metadata in user.* extended attributes, and {folder} has none ({error}); "
                "point TMPDIR or --basetemp at ext4, xfs or btrfs"
            ) from error


def _user_name() -> str:
    """The current user's name: Swift changes to a user by name even if it is that user already."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError as error:
        raise SwiftUnavailableError(f"Swift needs a user with a name; uid {os.geteuid()} has none") from error


def swift_environment() -> Path:
    """The Python environment that holds Swift, made if this machine has none for these requirements.

    Raises:
        SwiftUnavailableError: it cannot be made here; the message says why.
    """
    environment = _environment_or_error()
    if isinstance(environment, SwiftUnavailableError):
        raise environment
    return environment


@functools.cache  # of a failure too: a machine without a network waits for pip once, not once a test module
def _environment_or_error() -> Path | SwiftUnavailableError:
    """Find or make the environment.

    Its folder is named by a hash of the requirements and the Python version and comes into being by a rename under
    a lock: a half-made one is never seen, and an upgrade never pulls files from under a running server.
    """
    root = Path(os.environ.get("CINESTREAM_TEST_CACHE") or REPOSITORY / ".cinestream" / "test-cache") / "swift-venv"
    root.mkdir(parents=True, exist_ok=True)
    version = f"{sys.implementation.cache_tag}-{sys.platform}"
    stamp = hashlib.sha256(REQUIREMENTS.read_bytes() + version.encode()).hexdigest()[:16]
    environment = root.resolve() / stamp
    with _locked(root / "lock", INSTALL_TIMEOUT):
        if not (environment / "bin" / "python").exists():  # follows the link: an upgraded Python makes it anew
            try:
                _install(environment)
            except SwiftUnavailableError as error:
                return error
    return environment


@contextlib.contextmanager
def _locked(path: Path, timeout: float) -> Iterator[None]:
    """Hold `path` as a lock between processes; the kernel releases it if the holder dies."""
    deadline = time.monotonic() + timeout
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{path}: another process has held the lock for {timeout:.0f} s") from None
                time.sleep(0.2)
        yield


def _install(environment: Path) -> None:
    """Make the environment beside its final place and move it there; the lock is held."""
    building = environment.with_suffix(".building")
    shutil.rmtree(building, ignore_errors=True)  # a killed test run's
    shutil.rmtree(environment, ignore_errors=True)  # one whose Python is gone
    # Two attempts of 30 s instead of pip's five: without a network the suite is to be skipped, not to hang.
    limits = ["--retries", "1", "--timeout", "30"]
    # Only wheels: a source package would fetch its build requirements past the hashes.
    wheels = ["--only-binary", ":all:", "--require-hashes", "-r", str(REQUIREMENTS)]
    try:
        _install_step([sys.executable, "-m", "venv", str(building)])
        pip = [str(building / "bin" / "python"), "-m", "pip", "--no-input", "--disable-pip-version-check"]
        _install_step([*pip, "install", "--quiet", *limits, *wheels])
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    # The scripts in bin/ go on naming the old place; they are run by naming the interpreter.
    building.rename(environment)


def _install_step(command: list[str]) -> None:
    """Run one step; a failure means that Swift is unavailable, unless a package's hash was wrong."""
    # A PYTHONPATH or an active environment of the caller must not leak into this one.
    environ = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME"}}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT, env=environ, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SwiftUnavailableError(f"Swift could not be installed within {INSTALL_TIMEOUT:.0f} s") from error
    if done.returncode:
        output = (done.stderr.strip() or done.stdout.strip())[-2000:]
        if "DO NOT MATCH THE HASHES" in output:
            raise RuntimeError(f"Swift's packages are not the pinned ones:\n{output}")
        last_error = [line for line in output.splitlines() if line.startswith("ERROR")] or output.splitlines()[-1:]
        raise SwiftUnavailableError(f"Swift cannot be installed here (no network?): {' '.join(last_error[-1:])}")


class SwiftServer:
    """One Swift cluster of a single disk, with one account and one user that owns it.

    The data under `folder` outlives `stop`, `kill9` and the object; ports, rings and secrets are made once, by the
    first start, and stay the same for all later ones. Start it from the main thread, or from one that lives as long
    as the server is needed: the servers die with the thread that started them.
    """

    def __init__(self, folder: Path, *, region: str = "us-east-1", listing_limit: int = 1000) -> None:
        """Nothing happens before `start`.

        Args:
            folder: where data, configuration and logs go, below `swift/`.
            region: signatures for any other region are refused, as AWS does.
            listing_limit: keys on one page of a listing. AWS has 1000; less shows paging with fewer objects (an
                object takes Swift 14 ms to store).
        """
        self.region = region
        self.listing_limit = listing_limit
        self.access_key = "cinestream:loader"  # Swift's `account:user`; the colon is part of the S3 access key
        self.secret_key = secrets.token_urlsafe(24)
        self.folder = folder.resolve() / "swift"
        self._ports: dict[str, int] = {}
        self._reserved: list[socket.socket] = []
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def endpoint(self) -> str:
        """Where S3 answers; known from the first start on."""
        return f"http://127.0.0.1:{self._ports['proxy']}"

    def client(self, **overrides: Any) -> S3Client:
        """A boto3 client of this server, by default with the right credentials.

        Path-style addresses, since 127.0.0.1 has no subdomains for buckets; checksums only where S3 requires them.
        No retries and short timeouts: a test wants the first answer.
        """
        options: dict[str, Any] = {
            "endpoint_url": self.endpoint,
            "region_name": self.region,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "config": Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                retries={"total_max_attempts": 1},
                connect_timeout=5,
                read_timeout=60,
                proxies={},
            ),
        }
        return boto3.client("s3", **{**options, **overrides})

    def start(self) -> None:
        """Start the four servers and wait until S3 lists this account's buckets.

        Raises:
            SwiftUnavailableError: this machine cannot run Swift (`swift_available` tells beforehand).
            RuntimeError: a server ended or did not answer in time; the end of its log is in the message.
        """
        if self._processes:
            raise RuntimeError("this Swift is started already")
        environment = swift_environment()
        if not self._ports:
            self._prepare(environment)
        deadline = time.monotonic() + START_TIMEOUT
        try:
            for server in SERVERS:
                self._processes[server] = self._launch(environment, server)
            for server in SERVERS:
                self._wait_for_port(server, deadline)
            self._wait_for_s3(deadline)
        except BaseException:
            self.kill9()
            raise

    def stop(self) -> None:
        """End the servers, with SIGKILL if they do not heed SIGTERM; harmless if they are not running."""
        for process in self._processes.values():
            process.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
        self.kill9()

    def kill9(self) -> None:
        """SIGKILL all four servers at once, as the kernel does when memory runs out; a power cut is something else."""
        for process in self._processes.values():
            process.send_signal(signal.SIGKILL)
        for process in self._processes.values():
            process.wait(STOP_TIMEOUT)
        self._processes.clear()

    def restart(self) -> None:
        """Start the servers again, on the same ports and data; those still running are stopped first."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop the servers and give the ports back; the server cannot be started again."""
        self.stop()
        for reserved in self._reserved:
            reserved.close()
        self._reserved.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(self, environment: Path) -> None:
        """Lay out folders, ports, rings and configuration; the latter holds the secret and is its owner's only."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        _check_machine(self.folder)
        (self.folder / "devices" / "disk").mkdir(parents=True, exist_ok=True)
        self._ports = {server: self._reserve_port() for server in SERVERS}
        rings = {str(self.folder / f"{server}.ring.gz"): self._ports[server] for server in STORAGE_SERVERS}
        subprocess.run(
            [environment / "bin" / "python", "-c", _RING_MAKER],
            input=json.dumps(rings).encode(),
            check=True,
            timeout=START_TIMEOUT,
        )
        hashing = {"prefix": secrets.token_hex(16), "suffix": secrets.token_hex(16)}
        self._write("swift.conf", _SWIFT_CONF.format(**hashing))
        account, login = self.access_key.split(":")
        for server in SERVERS:
            template = _COMMON + (_PROXY if server == "proxy" else _STORAGE)
            values = {
                "server": server,
                "port": self._ports[server],
                "user": _user_name(),
                "folder": self.folder,
                "region": self.region,
                "listing_limit": self.listing_limit,
                "account": account,
                "login": login,
                "secret_key": self.secret_key,
            }
            self._write(f"{server}-server.conf", template.format(**values))

    def _reserve_port(self) -> int:
        """A free port that stays ours through a kill and a restart, when the rings still name it.

        The socket is bound but does not listen. With SO_REUSEADDR on both sides Swift may bind the port too, while
        the kernel gives it to nobody who asks for any free one.
        """
        reserved = socket.socket()
        reserved.bind(("127.0.0.1", 0))
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.append(reserved)
        return int(reserved.getsockname()[1])

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)

    def _launch(self, environment: Path, server: str) -> subprocess.Popen[bytes]:
        """One server in the foreground, its log in a file; a session of its own shields it from the tests' Ctrl-C."""
        environ = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME"}}
        program: list[str | Path] = [
            environment / "bin" / f"swift-{server}-server",
            self.folder / f"{server}-server.conf",
            "--verbose",
        ]
        with self._log(server).open("ab") as log:
            return subprocess.Popen(
                [environment / "bin" / "python", "-c", _LAUNCHER, *program],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                start_new_session=True,
            )

    def _log(self, server: str) -> Path:
        return self.folder / f"{server}.log"

    def _wait_for_port(self, server: str, deadline: float) -> None:
        while True:
            self._check_running(server)
            try:
                socket.create_connection(("127.0.0.1", self._ports[server]), timeout=1).close()
            except OSError as error:
                self._check_deadline(server, deadline, error)
                time.sleep(0.05)
            else:
                return

    def _wait_for_s3(self, deadline: float) -> None:
        client = self.client()
        while True:
            self._check_running("proxy")
            try:
                client.list_buckets()
            except (BotoCoreError, ClientError) as error:
                self._check_deadline("proxy", deadline, error)
                time.sleep(0.1)
            else:
                return

    def _check_running(self, server: str) -> None:
        code = self._processes[server].poll()
        if code is not None:
            raise RuntimeError(f"Swift's {server} server ended with code {code}:\n{self._log_tail(server)}")

    def _check_deadline(self, server: str, deadline: float, error: Exception) -> None:
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"Swift's {server} server did not answer within {START_TIMEOUT:.0f} s ({error}):\n"
                f"{self._log_tail(server)}"
            ) from error

    def _log_tail(self, server: str) -> str:
        return self._log(server).read_text(errors="replace")[-3000:]
