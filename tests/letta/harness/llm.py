"""A scripted model on loopback: what the user writes is what it does.

A user message carries commands in double brackets, one per turn of the model:

    [[call add_numbers {"a": 1, "b": 2}]] [[say It is three.]]

The first completion after that message makes the tool call, the second answers. Without commands, and after
the last one, it says "pong". `[[refuse 400]]` answers with that HTTP status, `[[mute]]` with text even where
a tool call is required, and `[[wait 3]]` anywhere makes each completion take that many seconds.

It speaks as much of the OpenAI API (models, embeddings, chat completions, blocking and streaming) and of the
Anthropic API (models, message batches) as Letta uses. Every answer closes its connection: Letta leaves its
model clients open, and a kept-alive one stalls its tool steps for a minute.
"""

import base64
import json
import re
import struct
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

MODELS = ("gpt-4o-mini", "text-embedding-3-small")
ANTHROPIC_MODEL = "claude-sonnet-4-20250514"
DEFAULT_ANSWER = "pong"

_COMMAND = re.compile(r"\[\[(\w+)(?: (.*?))?\]\]", re.DOTALL)


@dataclass(frozen=True)
class Reply:
    """What the model does in one turn: text, or one tool call, or a refusal with an HTTP status."""

    text: str | None = None
    tool: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    refuse: int | None = None
    wait_s: float = 0.0


def text_of(content: Any) -> str:
    """The plain text of an OpenAI message's content."""
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content or ""


def _said_by_the_user(message: dict[str, Any]) -> str | None:
    """The user's own words; None for other roles and for what Letta itself writes in the user's name."""
    if message.get("role") != "user":
        return None
    text = text_of(message.get("content"))
    try:
        packed = json.loads(text)
    except ValueError:
        return text
    if not isinstance(packed, dict) or "type" not in packed:
        return text
    return str(packed.get("message", "")) if packed["type"] == "user_message" else None


def plan(request: dict[str, Any]) -> Reply:
    """The scripted reply to one chat completion request."""
    messages = request.get("messages", [])
    offered = {tool["function"]["name"] for tool in request.get("tools") or ()}
    asked, turn = "", 0
    for message in messages:
        words = _said_by_the_user(message)
        if words is not None:
            asked, turn = words, 0
        elif message.get("role") == "assistant":
            turn += 1
    commands = [(kind, rest or "") for kind, rest in _COMMAND.findall(asked)]
    wait_s = sum(float(rest) for kind, rest in commands if kind == "wait")
    turns = [(kind, rest) for kind, rest in commands if kind != "wait"]
    kind, rest = turns[turn] if turn < len(turns) else ("say", DEFAULT_ANSWER)
    match kind:
        case "refuse":
            return Reply(refuse=int(rest), wait_s=wait_s)
        case "mute":
            return Reply(text=rest or "I call nothing.", wait_s=wait_s)
        case "call":
            name, _, arguments = rest.partition(" ")
            return _call(name, json.loads(arguments or "{}"), offered, wait_s)
        case _:
            return _say(rest, offered, wait_s)


def _say(text: str, offered: set[str], wait_s: float) -> Reply:
    """An answer: as text, or by `send_message` where the agent is of a kind that answers by a tool."""
    if "send_message" in offered:
        return Reply(tool="send_message", arguments={"thinking": "I answer.", "message": text}, wait_s=wait_s)
    return Reply(text=text, wait_s=wait_s)


def _call(name: str, arguments: dict[str, Any], offered: set[str], wait_s: float) -> Reply:
    if "send_message" in offered:
        arguments = {"thinking": "I call a tool.", "request_heartbeat": True, **arguments}
    return Reply(tool=name, arguments=arguments, wait_s=wait_s)


class ScriptedModel:
    """The server: `with ScriptedModel() as model: model.url`."""

    def __init__(self) -> None:
        self.batches: dict[str, list[str]] = {}
        model = self

        class Handler(_Handler):
            owner = model

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.origin = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    def batch(self, batch_id: str, status: str) -> dict[str, Any]:
        """An Anthropic message batch in the given state."""
        ended = status == "ended"
        return {
            "id": batch_id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": dict.fromkeys(("processing", "errored", "canceled", "expired"), 0)
            | {"succeeded": 1},
            "created_at": "2026-01-01T00:00:00Z",
            "expires_at": "2027-01-01T00:00:00Z",
            "ended_at": "2026-01-01T00:01:00Z" if ended else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{self.origin}/v1/messages/batches/{batch_id}/results" if ended else None,
        }


class _Handler(BaseHTTPRequestHandler):
    owner: ScriptedModel
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name the standard library gives it
        """Say nothing: a test prints what matters."""

    def do_GET(self) -> None:
        if "/messages/batches/" in self.path:
            batch_id = self.path.split("/messages/batches/")[1].split("/")[0].split("?")[0]
            if "/results" in self.path:
                self._send(_batch_results(self.owner.batches.get(batch_id, [])), "application/binary")
            else:
                self._json(self.owner.batch(batch_id, "ended"))
        elif self.headers.get("anthropic-version"):
            created = {"type": "model", "display_name": "scripted", "created_at": "2025-05-14T00:00:00Z"}
            models = [{"id": ANTHROPIC_MODEL, **created}]
            ends = {"first_id": ANTHROPIC_MODEL, "last_id": ANTHROPIC_MODEL}
            self._json({"data": models, "has_more": False, **ends})
        else:
            shape = {"object": "model", "created": 1, "owned_by": "scripted", "context_window": 128000}
            self._json({"object": "list", "data": [{"id": name, **shape} for name in MODELS]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        path = self.path.split("?")[0]
        if path.endswith("/messages/batches"):
            batch_id = f"msgbatch_{uuid.uuid4().hex[:12]}"
            self.owner.batches[batch_id] = [item["custom_id"] for item in request.get("requests", [])]
            self._json(self.owner.batch(batch_id, "in_progress"))
        elif path.endswith("/embeddings"):
            self._json(_embeddings(request))
        else:
            self._complete(request)

    def _complete(self, request: dict[str, Any]) -> None:
        reply = plan(request)
        # The model's own thinking time, as the script asked for it.
        time.sleep(reply.wait_s)
        if reply.refuse is not None:
            error = {
                "message": f"refused by the script with {reply.refuse}",
                "type": "scripted",
                "code": "scripted",
            }
            self._json({"error": error}, status=reply.refuse)
        elif request.get("stream"):
            body = b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in _chunks(request, reply))
            self._send(body + b"data: [DONE]\n\n", "text/event-stream")
        else:
            self._json(_completion(request, reply))

    def _json(self, value: Any, *, status: int = 200) -> None:
        self._send(json.dumps(value).encode(), "application/json", status=status)

    def _send(self, body: bytes, media_type: str, *, status: int = 200) -> None:
        self.close_connection = True
        try:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            return  # the caller was killed, or gave up waiting


_USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def _head(request: dict[str, Any], kind: str) -> dict[str, Any]:
    model = request.get("model", MODELS[0])
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex[:12]}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }


def _tool_calls(reply: Reply) -> list[dict[str, Any]]:
    if reply.tool is None:
        return []
    function = {"name": reply.tool, "arguments": json.dumps(reply.arguments)}
    return [{"id": f"call_{uuid.uuid4().hex[:20]}", "type": "function", "function": function}]


def _completion(request: dict[str, Any], reply: Reply) -> dict[str, Any]:
    calls = _tool_calls(reply)
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "finish_reason": "tool_calls" if calls else "stop", "message": message}
    return {**_head(request, "chat.completion"), "usage": _USAGE, "choices": [choice]}


def _chunks(request: dict[str, Any], reply: Reply) -> list[dict[str, Any]]:
    head = _head(request, "chat.completion.chunk")
    deltas: list[tuple[dict[str, Any], str | None]] = []
    if reply.tool is not None:
        calls = [{"index": 0, **call} for call in _tool_calls(reply)]
        deltas += [({"role": "assistant", "tool_calls": calls}, None), ({}, "tool_calls")]
    else:
        deltas.append(({"role": "assistant", "content": ""}, None))
        deltas += [({"content": part}, None) for part in re.findall(r"\S+\s*", reply.text or "")]
        deltas.append(({}, "stop"))
    chunks = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        for delta, finish in deltas
    ]
    return [*chunks, {**head, "choices": [], "usage": _USAGE}]


def _embeddings(request: dict[str, Any]) -> dict[str, Any]:
    texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
    vector: Any = [0.01] * int(request.get("dimensions") or 1536)
    if request.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, _ in enumerate(texts)]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "model": request.get("model"), "data": data, "usage": usage}


def _batch_results(custom_ids: list[str]) -> bytes:
    """One line per request of the batch, each answered by `send_message`."""
    lines = []
    for custom_id in custom_ids:
        answer = {"thinking": "I answer.", "message": "pong from a batch"}
        call = {
            "type": "tool_use",
            "id": f"toolu_{uuid.uuid4().hex[:12]}",
            "name": "send_message",
            "input": answer,
        }
        message = {
            "id": f"msg_{uuid.uuid4().hex[:12]}",
            "type": "message",
            "role": "assistant",
            "model": ANTHROPIC_MODEL,
            "content": [call],
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": {"input_tokens": 5, "output_tokens": 5},
        }
        lines.append(
            json.dumps({"custom_id": custom_id, "result": {"type": "succeeded", "message": message}})
        )
    return "".join(f"{line}\n" for line in lines).encode()
