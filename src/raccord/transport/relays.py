"""How a program in a container passes its input on to a server there, and the server's answers back. Pure.

Images have few programs, and each a different few. Each way ends when either side does: what nobody reads any
more must not keep a session, and its locks, open. Scripts are one line without apostrophes or `!`: whatever
shell is on the way takes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

BLOCK = 1 << 18  # bytes at once

_PERL = (
    "use Socket qw(:DEFAULT getaddrinfo); my ($h,$p)=@ARGV; my $up=0; "
    "if ($h =~ m(^/)) { $up=socket(S,PF_UNIX,SOCK_STREAM,0) && connect(S,sockaddr_un($h)) } "
    "else { my ($bad,@all)=getaddrinfo($h,$p,{socktype=>SOCK_STREAM}); die qq($h: $bad\\n) if $bad; "
    "for my $a (@all) { $up=socket(S,$a->{family},SOCK_STREAM,0) && connect(S,$a->{addr}); last if $up } "
    "setsockopt(S,6,1,1) if $up } "
    "die qq($h $p: ${chr 33}\\n) unless $up; my ($me,$b)=($$); "
    f"sub pass {{ my ($i,$o)=@_; while (sysread($i,$b,{BLOCK})) {{ my $at=0; while ($at<length $b) "
    "{ my $n=syswrite($o,$b,length($b)-$at,$at); return unless defined $n; $at+=$n } } } "
    "my $kid=fork; die unless defined $kid; "
    "unless ($kid) { pass(*S,*STDOUT); kill 15,$me; exit } pass(*STDIN,*S); shutdown(S,1); waitpid $kid,0"
)
_PYTHON = f"""\
import os, socket, sys, threading
host, port = sys.argv[1:3]
try:
    if host.startswith("/"):
        there = socket.socket(socket.AF_UNIX)
        there.connect(host)
    else:
        there = socket.create_connection((host, int(port)))
        there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
except OSError as error:
    sys.exit("%s %s: %s" % (host, port, error))
def answers():
    try:
        for data in iter(lambda: there.recv({BLOCK}), b""):
            data = memoryview(data)
            while data:
                data = data[os.write(1, data):]
    finally:
        os._exit(0)
back = threading.Thread(target=answers)
back.start()
for data in iter(lambda: os.read(0, {BLOCK}), b""):
    there.sendall(data)
there.shutdown(1)
back.join()
"""
# Background jobs read nothing unless they are given a file: 4 is the input.
_BASH = (
    'exec 3<>"/dev/tcp/$0/$1" || exit 1; exec 4<&0; cat <&3 & cat <&4 >&3 & wait -n; kill $(jobs -p)'
    " 2>/dev/null"
)


def _socat(host: str, port: int) -> list[str] | None:
    if re.search(r"[^\w./:-]", host):
        return None  # it would take the address apart
    if host.startswith("/"):
        goal = f"UNIX-CONNECT:{host}"
    else:
        goal = f"TCP:{f'[{host}]' if ':' in host else host}:{port},nodelay"
    return ["socat", "-b", str(BLOCK), "-", goal]


def _perl(host: str, port: int) -> list[str] | None:
    return ["perl", "-e", _PERL, host, str(port)]


def _python(host: str, port: int) -> list[str] | None:
    return ["python3", "-c", f"exec({json.dumps(_PYTHON)})", host, str(port)]


def _bash(host: str, port: int) -> list[str] | None:
    return None if host.startswith("/") else ["bash", "-c", _BASH, host, str(port)]


def _busybox(host: str, port: int) -> list[str] | None:
    return None if host.startswith("/") else ["nc", host, str(port)]


def _openbsd(host: str, _port: int) -> list[str] | None:
    # Over TCP it waits for its input when the server is gone.
    return ["nc", "-N", "-U", host] if host.startswith("/") else None


def _traditional(host: str, port: int) -> list[str] | None:
    return None if host.startswith("/") else ["nc", "-q", "0", host, str(port)]


# By what the probe says.
WAYS: dict[str, Callable[[str, int], list[str] | None]] = {
    "socat": _socat,
    "bash": _bash,
    "perl": _perl,
    "python3": _python,
    "nc busybox": _busybox,
    "nc openbsd": _openbsd,
    "nc traditional": _traditional,
}
PROGRAMS = "socat, bash, perl, python3 or nc"
PROBE = (
    'has() { command -v "$1" >/dev/null 2>&1; }; has socat && echo socat; '
    'has cat && bash -c "((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 403))" 2>/dev/null && echo bash; '
    "perl -MSocket -e 1 2>/dev/null && echo perl; "
    'python3 -c "import socket, threading" 2>/dev/null && echo python3; '
    'has nc && case "$(nc -h 2>&1 </dev/null)" in *BusyBox*) echo nc busybox;; '
    "*OpenBSD*) echo nc openbsd;; *[[]v1.1*-q\\ secs*) echo nc traditional;; esac; true"
)


def relay(said: str, host: str, port: int) -> list[str] | None:
    """The words of the first way that leads to a server, None where there is none.

    Args:
        said: what `PROBE` said there.
        host: name or address, or the path of a socket.
    """
    there = {line.strip() for line in said.splitlines()}
    for name, words in WAYS.items():
        if name in there and (found := words(host, port)):
            return found
    return None
