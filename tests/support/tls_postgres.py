"""TLS before a Postgres that was built without: a terminator, as poolers and clouds have one."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

from tests.cluster.certificates import Authority

SSL_REQUEST = (80877103).to_bytes(4)


@contextlib.contextmanager
def behind_tls(port: int, authority: Authority, name: str) -> Iterator[int]:
    """A port of 127.0.0.1 that leads to `port` for those who speak TLS, with the pair that the authority signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.crt(name), authority.key(name))
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepting = threading.Thread(target=_accept, args=(server, context, port), daemon=True)
        accepting.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)  # wakes who accepts: a mere close leaves the port open until then
            accepting.join()


def _accept(server: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with contextlib.suppress(OSError):  # closed: the test is over
        while True:
            client, _ = server.accept()
            threading.Thread(target=_serve, args=(client, context, port), daemon=True).start()


def _serve(client: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with contextlib.suppress(OSError), client:
        if client.recv(8)[4:] != SSL_REQUEST:
            return  # in clear nobody is served
        client.sendall(b"S")
        with (
            context.wrap_socket(client, server_side=True) as inside,
            socket.create_connection(("127.0.0.1", port)) as to,
        ):
            back = threading.Thread(target=_pour, args=(to, inside), daemon=True)
            back.start()
            _pour(inside, to)
            back.join(5)


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while given := source.recv(65536):
            sink.sendall(given)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
