"""The states of circuit breakers as a metric."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from jobs.resilience.circuit_breaker import BreakerState, CircuitBreaker


class _States(Collector):
    def __init__(self, states: Mapping[str, Callable[[], BreakerState]]) -> None:
        self._states = states

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "circuit_breaker_state",
            "Whether calls of a part are made: 0 yes (closed), 1 one to find out (half open), 2 no (open).",
            labels=["part"],
        )
        for part, state in self._states.items():
            family.add_metric([part], state())
        yield family


def show_breakers(registry: CollectorRegistry, breakers: Sequence[CircuitBreaker]) -> None:
    """Show the state of every breaker as `circuit_breaker_state{part=…}`."""
    show_states(registry, {each.name: lambda each=each: each.state for each in breakers})  # type: ignore[misc]


def show_states(registry: CollectorRegistry, states: Mapping[str, Callable[[], BreakerState]]) -> None:
    """Show states that are read together with the metrics."""
    registry.register(_States(states))
