"""What several integration tests share: one topic with its published versions."""

from tests.batch_on_stack import batch

__all__ = ["batch"]
