"""Probes tell life and readiness, and the figures are beside them."""

from starlette.testclient import TestClient

from jobs.http.probes import probe_app


def test_probes_tell_life_readiness_with_its_obstacle_and_metrics() -> None:
    obstacle: list[str | None] = ["Redis does not answer"]
    client = TestClient(probe_app(obstacle=lambda: obstacle[0], metrics=lambda: b"some 1\n"))

    def get(path: str) -> tuple[int, bytes]:
        answer = client.get(path)
        return answer.status_code, answer.content

    assert get("/metrics?now") == (200, b"some 1\n")
    assert get("/healthz") == (200, b"alive\n")
    assert get("/readyz") == (503, b"not ready: Redis does not answer\n")
    obstacle[0] = None
    assert get("/readyz") == (200, b"ready\n")
    assert get("/other")[0] == 404
