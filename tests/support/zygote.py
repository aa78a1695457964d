"""A process that has imported a program and forks for every start of it: what a test starts need not import anew.

Most of a short-lived process of ours is imports (dbt 2.5 s of CPU, a command that reaches Dagster 3 s). ``Zygote`` makes
an executable that stands for the program: it hands its arguments, folder, variables and standard streams to the
zygote, whose fork runs the program's own ``main``, and ends as that ends. Each start is a process of its own, with
its own arguments among the machine's command lines and its starter's umask; it dies when the executable is killed.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

CLIENT = """\
#!{python} -IS
import json, os, signal, socket, sys, time
with socket.socket(socket.AF_UNIX) as zygote:
    for again in range(6000):
        try:
            zygote.connect({address!r})
            break
        except OSError:  # it still imports
            time.sleep(0.05)
    os.umask(umask := os.umask(0))
    told = json.dumps([sys.argv, os.getcwd(), dict(os.environ), umask]).encode()
    socket.send_fds(zygote, [len(told).to_bytes(8, "big")], [0, 1, 2])
    zygote.sendall(told)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: zygote.send(bytes([number])))
    code = int(zygote.recv(16) or b"1")
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


class Zygote:
    """The zygote of one program."""

    def __init__(self, folder: Path, name: str, main: str, imports: Sequence[str], start: str | None = None) -> None:
        """Of ``main`` ("module:function"), with these modules imported and ``start`` (the same form) called before.

        Its executable, named as the program, is in the folder.
        """
        self.executable = folder / name
        self._program = [main, list(imports), start]

    def start(self, owner: int) -> None:
        """Start it; what is executed before all is imported waits for that. It ends soon after the process ``owner``."""
        address = str(self.executable.with_suffix(".socket"))
        self.executable.write_text(CLIENT.format(python=sys.executable, address=address))
        self.executable.chmod(0o755)
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.zygote", json.dumps([address, owner, *self._program])],
            stdout=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
        )


def serve(address: str, owner: int, main: str, imports: Sequence[str], start: str | None) -> NoReturn:
    """Import, then fork for everybody who asks, as long as the owner lives."""
    gc.disable()
    for module in [main.partition(":")[0], *imports]:
        import_module(module)
    if start:
        _named(start)()
    gc.freeze()  # what all forks share is neither looked through nor copied by them
    gc.set_threshold(50_000, 20, 50)  # a tenth of dbt's CPU otherwise
    gc.enable()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen(64)
        server.settimeout(2)
        while _lives(owner):
            with suppress(TimeoutError), server.accept()[0] as client:
                if os.fork() == 0:
                    server.close()
                    os._exit(_attend(client, main))
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    continue
    for path in (Path(address), Path(address).with_suffix(""), Path(address).with_name("lock")):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # another program's zygote is still there
        Path(address).parent.rmdir()
    os._exit(0)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _attend(client: socket.socket, main: str) -> int:
    """Run the program for one client, pass its signals on, and tell it the end."""
    head, streams, *_ = socket.recv_fds(client, 8, 3)
    told = b""
    while len(told) < int.from_bytes(head, "big"):
        told += client.recv(1 << 16)
    program = os.fork()
    if program == 0:
        client.close()
        _become(main, streams, *json.loads(told))
    for stream in streams:
        os.close(stream)
    messenger = os.fork()
    if messenger == 0:  # passes signals on, until the client is gone
        while number := client.recv(1):
            with suppress(ProcessLookupError):
                os.kill(program, number[0])
        with suppress(ProcessLookupError):
            os.kill(program, signal.SIGKILL)
        os._exit(0)
    _, status = os.waitpid(program, 0)
    os.kill(messenger, signal.SIGKILL)
    with suppress(OSError):
        client.send(str(os.waitstatus_to_exitcode(status)).encode())
    return 0


def _become(
    main: str, streams: Sequence[int], argv: list[str], folder: str, variables: dict[str, str], umask: int
) -> NoReturn:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # as the interpreter opens them: the zygote's own remember whether what it was started with (a log file) can seek
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.umask(umask)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = argv
    sys.modules["__main__"].__package__ = None  # or click takes this module for the program's name
    code: Any = 0
    try:
        _named(main)()
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            sys.stderr.write(f"{code}\n")
    except BaseException:  # as the interpreter does
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        import atexit
        import threading

        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


if __name__ == "__main__":
    serve(*json.loads(sys.argv[1]))
