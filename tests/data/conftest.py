"""A web server on this machine, which misbehaves on request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Site:
    """What is served, by path, and what was requested.

    Attributes:
        files: path to content.
        cut: paths of which only half is sent, though all of it is announced.
        moved: path to the path it is redirected to.
        agents: the User-Agent of each request.
    """

    home: str
    files: dict[str, bytes] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    moved: dict[str, str] = field(default_factory=dict)
    agents: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        """The address of a path."""
        return self.home + path


@pytest.fixture
def site() -> Iterator[Site]:
    """A site on 127.0.0.1 that, like wikitext.smerity.com, answers 403 to Python's own User-Agent."""
    served = Site("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            agent = self.headers.get("User-Agent", "")
            served.agents.append(agent)
            if agent.startswith("Python-urllib"):
                self.send_error(403)
            elif self.path in served.moved:
                self.send_response(302)
                self.send_header("Location", served.url(served.moved[self.path]))
                self.end_headers()
            elif self.path in served.files:
                content = served.files[self.path]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if self.path in served.cut else content)
            else:
                self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.home = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
