"""A child in the server's place, without any library: `python -m ... DEVICE MODE FOLDER --host HOST --port PORT`."""

from __future__ import annotations

import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from sandbox.process.inside import take_channel


class Health(BaseHTTPRequestHandler):
    """Is well, and counts its tokens."""

    def do_GET(self) -> None:
        data = b'# HELP\nvllm:generation_tokens_total{engine="0"} 5.0\nvllm:prompt_tokens_total 2.0\nother 9\n'
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


if __name__ == "__main__":
    take_channel()
    _, mode, folder, *listening = sys.argv[1:]
    with (Path(folder) / "starts").open("a") as starts:
        starts.write(f"{os.getpid()} {os.environ.get('RANK')} {os.environ['CUDA_VISIBLE_DEVICES']} {listening[1]}\n")
    if mode == "fails":
        sys.exit(3)
    if mode == "hangs":
        time.sleep(60)
    HTTPServer((listening[1], int(listening[3])), Health).serve_forever()
