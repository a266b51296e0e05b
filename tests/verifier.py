"""The stand-alone verifier as a module: it is a single file outside of every package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

VERIFIER = Path(__file__).parents[1] / "verifier" / "viewledger_verify.py"


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("viewledger_verify", VERIFIER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


verifier = _loaded()
