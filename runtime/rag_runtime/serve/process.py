"""The HTTP server's process: uvicorn with a drain, so that a rolling update loses no request."""

from __future__ import annotations

import asyncio
import logging
import signal
from types import FrameType

import uvicorn

from rag_runtime.serve.service import Service

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 3.0
"""After SIGTERM new connections are still taken this long: endpoints of the Service lag behind the pod's end."""
FINISH_SECONDS = 25
"""Then requests in flight may take this long; with SETTLE_SECONDS below Kubernetes' 30 s of grace."""


class Server(uvicorn.Server):
    """uvicorn, except that the first SIGTERM or SIGINT drains, and the second ends at once."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._loop = asyncio.get_running_loop()
        service.drain.on_failure = self._fail
        self.exit_code = 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Runs in the signal handler: only passes the word on."""
        self._loop.call_soon_threadsafe(self._drain, sig)

    def _drain(self, sig: int) -> None:
        if self._service.drain.draining:
            self.should_exit = self.force_exit = True
            return
        logger.info("draining: not ready from now on, requests are still served")
        self._service.drain.draining = True
        self._loop.call_later(0.0 if sig == signal.SIGINT else SETTLE_SECONDS, self._end)

    def _end(self) -> None:
        self.should_exit = True

    def _fail(self) -> None:
        """A part died that the service can't do without: drain and report it by the exit code."""
        self.exit_code = 1
        self._drain(signal.SIGTERM)


async def serve(service: Service, host: str, port: int) -> int:
    """Serve until a signal; the process's exit code."""
    config = uvicorn.Config(
        service.application(),
        host=host,
        port=port,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=FINISH_SECONDS,
    )
    server = Server(config, service)
    service.start()
    try:
        await server.serve()
    finally:
        await service.stop()
    return server.exit_code
