"""How a test drives a client: one JSON request a line on stdin, one JSON answer a line on stdout.

    {"do": "chat", "body": {...}}                   -> {"result": {...}, "requests": 1}
    {"do": "model", "id": "...", "key": "sk-..."}   -> {"error": {"class": …}, "requests": 1}

`key` replaces the key of the environment for one call; `requests` counts the HTTP requests that the client
made, so that a retry shows. `openai-node-7/client.mjs` speaks the same in JavaScript.
"""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any


def serve(
    actions: Mapping[str, Callable[..., Any]],
    failure: type[Exception],
    explain: Callable[[Any], dict[str, Any]],
    sent: list[Any],
) -> None:
    """Answer until stdin ends; `explain` tells what the client's own exception, a `failure`, says.

    `sent` is the list to which the client's hooks add every HTTP request.
    """
    for line in sys.stdin:
        request = json.loads(line)
        sent.clear()
        answer: dict[str, Any] = {}
        try:
            answer["result"] = actions[request.pop("do")](**request)
        except failure as problem:
            answer["error"] = {"class": type(problem).__name__, **explain(problem)}
        answer["requests"] = len(sent)
        print(json.dumps(answer), flush=True)
