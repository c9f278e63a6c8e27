"""The HTTP server's process: uvicorn with a drain, so that a rolling update loses no request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Generator

import uvicorn

from rag_runtime.serve.service import Service

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 3.0
"""After SIGTERM new connections are still taken this long: endpoints of the Service lag behind the pod's end."""
FINISH_SECONDS = 25
"""Then requests in flight may take this long; with SETTLE_SECONDS below Kubernetes' 30 s of grace."""

KEEP_ALIVE_SECONDS = 75
"""Longer than the usual idle time of proxies (60 s), so that it is they who close an idle connection."""


class Server(uvicorn.Server):
    """uvicorn, except that the first SIGTERM or SIGINT drains, and the second ends at once.

    To be made inside the event loop that it runs in.
    """

    def __init__(self, service: Service, host: str, port: int) -> None:
        super().__init__(_config(service, host, port))
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._exit_code = 0
        service.drain.on_failure = self._fail

    async def run_service(self) -> int:
        """Serve until a signal; the process's exit code."""
        self._service.start()
        try:
            await self.serve()
        finally:
            await self._service.stop()
        return self._exit_code

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Instead of uvicorn's, which would stop accepting at once and raise the signal again at the end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.begin_drain)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.remove_signal_handler(number)

    def begin_drain(self) -> None:
        """Not ready from now on; closed after SETTLE_SECONDS. The second call ends at once."""
        if self._service.drain.draining:
            self.should_exit = self.force_exit = True
            return
        logger.info("draining: not ready from now on, requests are still served")
        self._service.drain.draining = True
        self._loop.call_later(SETTLE_SECONDS, self._end)

    def _end(self) -> None:
        self.should_exit = True

    def _fail(self) -> None:
        """A part died that the service can't do without: drain, and tell by the exit code."""
        self._exit_code = 1
        self.begin_drain()


def _config(service: Service, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        service.application(),
        host=host,
        port=port,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=FINISH_SECONDS,
    )
