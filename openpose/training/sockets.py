"""Whether another process can be reached."""

import socket


def answers(address: str, seconds: float) -> bool:
    """Whether a process accepts connections at host:port; waits at most some seconds."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=seconds):
            return True
    except OSError:
        return False
