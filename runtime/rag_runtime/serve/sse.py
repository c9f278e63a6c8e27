"""Server-sent events: frames, and a response that closes its source whatever happens to the client."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Send

HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def frame(data: dict[str, Any] | str, event: str | None = None) -> bytes:
    """One event; without `event` a bare data frame, as OpenAI's streams have."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {text}\n\n".encode()


class EventStream(StreamingResponse):
    """Streams frames. The generator is closed when the client goes, so that a model stops and a pin is released."""

    def __init__(self, frames: AsyncGenerator[bytes, None]) -> None:
        super().__init__(frames, media_type="text/event-stream", headers=HEADERS)
        self._frames = frames

    async def stream_response(self, send: Send) -> None:
        """Send the frames, then close their source."""
        async with contextlib.aclosing(self._frames):
            await super().stream_response(send)
