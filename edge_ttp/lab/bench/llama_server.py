"""llama.cpp's own HTTP server in a process of its own, from the wheel of xllamacpp. Ends when stdin closes.

python -m edge_ttp.lab.bench.llama_server '{"model": "x.gguf", "port": 8080, ...}'
"""

from __future__ import annotations

import json
import sys
from typing import Any


def parameters(given: dict[str, Any]) -> Any:
    """What the server is started with: `slots` conversations side by side over one shared cache."""
    import xllamacpp

    made = xllamacpp.CommonParams()
    made.model.path = given["model"]
    made.model_alias = {given["alias"]}
    made.hostnames = ["127.0.0.1"]
    made.port = given["port"]
    made.n_parallel = given["slots"]
    made.kv_unified = True
    made.n_ctx = given["context"]
    made.cpuparams.n_threads = made.cpuparams_batch.n_threads = given["threads"]
    made.n_gpu_layers = 0
    made.warmup = False
    made.ui = False
    made.offline = True
    return made


def main() -> None:
    """Serves until stdin ends."""
    import xllamacpp

    server = xllamacpp.Server(parameters(json.loads(sys.argv[1])))
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
