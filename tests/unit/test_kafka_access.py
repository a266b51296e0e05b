"""What is said of a port that something other than our Kafka listens on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from ingestion.contract.unavailable import UnavailableError
from jobs.checkup.kafka_access import check_access
from jobs.settings.brokers import read_brokers

TLS_ALERT = b"\x15\x03\x03\x00\x02\x02\x46"
HTTP_ERROR = b"HTTP/1.1 400 Bad Request\r\n\r\n"


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Serve each connection one answer and end it; give the port."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1024)
            self.request.sendall(answer)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("answer", [b"", TLS_ALERT, HTTP_ERROR, b"SSH-2.0-OpenSSH_9.2\r\n", b"\xff" * 8, b"\0" * 3])
def test_a_port_that_speaks_something_else_is_one_sentence(answer: bytes) -> None:
    with answering(answer) as port, pytest.raises(UnavailableError) as caught:
        check_access(read_brokers({"VIEWLEDGER_KAFKA_BOOTSTRAP": f"127.0.0.1:{port}"}), {})
    assert str(caught.value) == (
        f"Kafka at 127.0.0.1:{port} ends every connection of ours; check VIEWLEDGER_KAFKA_SECURITY_PROTOCOL"
    )
