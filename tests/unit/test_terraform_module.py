"""The module for Terraform and OpenTofu: its values are those of the chart."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.settings.state_home import PROJECT
from tests.unit.test_helm_chart import SECRETS, VALUES, merged, problems

FOLDER = PROJECT / "deploy" / "terraform"
NAMED = re.compile(r"^    (VIEWLEDGER_\w+) +=", re.MULTILINE)


def test_it_names_every_secret_of_the_chart_and_needs_no_provider() -> None:
    text = "".join(path.read_text() for path in FOLDER.glob("*.tf"))
    assert set(NAMED.findall((FOLDER / "main.tf").read_text())) == SECRETS
    assert "required_providers" not in text
    assert not re.search(r"^(resource|data|provider|module) ", text, re.MULTILINE)


class Terraform:
    """The module in a folder of its own, so that nothing is written to the project."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("terraform") or shutil.which("tofu")
        if program is None:
            pytest.skip("neither terraform nor tofu is installed")
        self.program, self.folder = program, folder
        for path in FOLDER.iterdir():
            if path.is_file():
                shutil.copy(path, folder)
        assert self.run("init", "-backend=false", "-input=false").returncode == 0

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "CHECKPOINT_DISABLE": "1"}
        return subprocess.run(
            [self.program, *words], cwd=self.folder, env=environ, capture_output=True, text=True, timeout=120
        )

    def apply(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return self.run("apply", "-auto-approve", "-input=false", "-no-color", "-var-file=example.tfvars", *words)


@pytest.fixture
def terraform(tmp_path: Path) -> Terraform:
    return Terraform(tmp_path)


def test_the_values_of_the_example_fit_the_chart(terraform: Terraform) -> None:
    assert terraform.run("validate").returncode == 0
    assert terraform.run("fmt", "-check").returncode == 0
    assert terraform.apply("-var=speed_processes=40", "-var=notices=webhook").returncode == 0
    values: dict[str, Any] = yaml.safe_load(json.loads(terraform.run("output", "-json", "values").stdout))
    assert problems(merged(VALUES, values)) == []
    assert values["kafka"]["bootstrap"] == "kafka-1:9092,kafka-2:9092,kafka-3:9092"
    assert values["speed"]["replicas"] == 12, "no more processes than partitions"
    assert values["noticeSecrets"]["VIEWLEDGER_WEBHOOK_SECRET"]["name"].endswith("webhook")
    assert "VIEWLEDGER_SMTP_URL" not in values["noticeSecrets"]
    assert values["ingress"]["tlsSecret"] == "tls"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("notices=true", "notices has a wrong value; it is none, email or webhook."),
        ("hdfs_url=namenode", "hdfs_url has a wrong value; write it like hdfs://namenode:8020."),
        ("kafka_brokers=[]", "kafka_brokers has a wrong value; name at least one broker, each as host:port."),
        ("speed_processes=0", "speed_processes has a wrong value; it is a whole number of at least 1."),
    ],
)
def test_a_wrong_value_is_one_sentence(terraform: Terraform, change: str, sentence: str) -> None:
    result = terraform.apply(f"-var={change}")
    assert result.returncode != 0
    assert sentence in re.sub(r"[\s│╷╵]+", " ", result.stderr)
