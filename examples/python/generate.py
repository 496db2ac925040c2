"""Generates the Python code of the interface from the proto files, into build/."""

import sys
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

HERE = Path(__file__).parent
PROTO = HERE.parent.parent / "proto"
BUILD = HERE / "build"
FILES = ["rollcall/v1/instance.proto", "rollcall/v1/registry.proto"]

BUILD.mkdir(exist_ok=True)
sys.exit(
    protoc.main(
        [
            "protoc",
            f"-I{PROTO}",
            f"-I{Path(grpc_tools.__file__).parent / '_proto'}",
            f"--python_out={BUILD}",
            f"--pyi_out={BUILD}",
            f"--grpc_python_out={BUILD}",
            *FILES,
        ]
    )
)
