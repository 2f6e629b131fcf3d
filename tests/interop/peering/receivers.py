"""The receivers: what they are, how they are started, and which versions are pinned."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from peering.environments import PEERS, node_folder, python_of


@dataclass(frozen=True)
class Package:
    """One package as the page names it, and where its version is pinned."""

    registry: str
    name: str
    folder: str

    @property
    def version(self) -> str:
        """The exact version that is asked for."""
        if self.registry == "npm":
            pinned: dict[str, str] = json.loads((PEERS / self.folder / "package.json").read_text())[
                "dependencies"
            ]
            return pinned[self.name]
        lines = (PEERS / self.folder / "constraints.txt").read_text().splitlines()
        return dict(line.split("==") for line in lines if "==" in line)[self.name]

    def __str__(self) -> str:
        return f"`{self.name}` {self.version} ({self.registry})"


@dataclass(frozen=True)
class Peer:
    """One receiver."""

    title: str
    packages: tuple[Package, ...]
    command: Callable[[int], list[str]]
    modes: tuple[str, ...] = ("binary", "structured")


def _node(script: str) -> Callable[[int], list[str]]:
    return lambda port: ["node", str(node_folder() / script), str(port)]


def _functions_framework_node(port: int) -> list[str]:
    home = node_folder()
    program = home / "node_modules" / ".bin" / "functions-framework"
    source = home / "functions_framework.cjs"
    return [
        *("node", str(program), "--target=receive", "--signature-type=cloudevent"),
        *(f"--source={source}", f"--port={port}"),
    ]


def _functions_framework_python(port: int) -> list[str]:
    program = python_of("functions_framework").with_name("functions-framework")
    source = PEERS / "functions_framework" / "receive.py"
    return [
        *(str(program), "--target", "receive", "--signature-type", "cloudevent"),
        *("--source", str(source), "--host", "127.0.0.1", "--port", str(port)),
    ]


def _python(peer: str) -> Callable[[int], list[str]]:
    return lambda port: [str(python_of(peer)), str(PEERS / peer / "receive.py"), str(port)]


RECEIVERS: dict[str, Peer] = {
    "express": Peer(
        "CloudEvents SDK for JavaScript behind express",
        (Package("npm", "cloudevents", "node"), Package("npm", "express", "node")),
        _node("express.cjs"),
        ("binary", "structured", "batch"),
    ),
    "functions-node": Peer(
        "Functions Framework for Node.js",
        (Package("npm", "@google-cloud/functions-framework", "node"),),
        _functions_framework_node,
    ),
    "functions-python": Peer(
        "Functions Framework for Python",
        (
            Package("PyPI", "functions-framework", "functions_framework"),
            Package("PyPI", "cloudevents", "functions_framework"),
        ),
        _functions_framework_python,
    ),
    "faas": Peer(
        "Knative's runtime for Node.js", (Package("npm", "faas-js-runtime", "node"),), _node("faas.cjs")
    ),
    "dapr": Peer(
        "Dapr's extension for FastAPI",
        (Package("PyPI", "dapr-ext-fastapi", "dapr"), Package("PyPI", "dapr", "dapr")),
        _python("dapr"),
    ),
    "python-sdk": Peer(
        "CloudEvents SDK for Python",
        (Package("PyPI", "cloudevents", "python_sdk"),),
        _python("python_sdk"),
    ),
}

# What only sends, or only verifies.
OTHERS: tuple[Package, ...] = (
    Package("npm", "standardwebhooks", "node"),
    Package("PyPI", "standardwebhooks", "python_sdk"),
)
XRCG = Package("PyPI", "xrcg", "xrcg")

PACKAGES: tuple[Package, ...] = (
    *(package for peer in RECEIVERS.values() for package in peer.packages),
    *OTHERS,
    XRCG,
)
