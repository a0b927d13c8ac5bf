"""`edge-runtime check`: are these configs right? Files only, so the answer is the same on a laptop and on the box."""

import argparse
import sys
from pathlib import Path

from edge_runtime.clock import wall_s
from edge_runtime.config import DeviceConfig, Finding, bundle_folders, check, load
from edge_runtime.control.certificates import check_certificates
from edge_runtime.errors import EdgeError
from edge_runtime.inference.manifest import check_bundles


def run(arguments: argparse.Namespace) -> int:
    """One line a finding; exit code 2 when any is an error."""
    wrong = False
    folders = bundle_folders(folder.resolve() for folder in arguments.models)
    for path in arguments.configs:
        try:
            config = load(path)
        except EdgeError as error:
            wrong = True
            print(f"error: {error}", file=sys.stderr)
            continue
        if tell(examine(config, folders), path):
            print(
                f"ok: {path}: {len(config.scenes)} scenes, {len(config.models)} models, {len(config.signals)} signals"
            )
        else:
            wrong = True
    return 2 if wrong else 0


def examine(config: DeviceConfig, folders: list[Path]) -> list[Finding]:
    """All that can be said about a config, and the bundles and certificates it names."""
    bundles = [Finding("error", text) for text in check_bundles(config, folders)]
    return [*check(config), *bundles, *check_certificates(config.mqtt, wall_s())]


def tell(findings: list[Finding], path: Path) -> bool:
    """Print one line a finding; True when none is an error."""
    for finding in findings:
        print(f"{finding.level}: {path}: {finding.text}", file=sys.stderr)
    return all(finding.level != "error" for finding in findings)
