"""An OpenAI-compatible server on loopback that misbehaves on demand.

``python -m varl_vlm_advisor.testing.server BEHAVIOUR [PORT]`` runs one until it is told to end, and says where.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-test-0123456789"
"""The only key that the server takes."""
_LAST_PORT = 65535


@dataclass
class Call:
    """A request that has come in."""

    body: dict[str, Any]
    authorization: str
    path: str = ""

    @property
    def asked_id(self) -> int:
        """The id that the answer must repeat."""
        found = re.search(r'"id": (\d{4})', self.text)
        return int(found[1]) if found else 0

    @property
    def text(self) -> str:
        """The words of the question."""
        contents = [message["content"] for message in self.body["messages"]]
        parts = [[{"type": "text", "text": c}] if isinstance(c, str) else c for c in contents]
        return "\n".join(part["text"] for said in parts for part in said if part["type"] == "text")

    @property
    def pictures(self) -> int:
        """How many pictures came along."""
        return json.dumps(self.body["messages"]).count('"image_url": {')


Behaviour = Callable[["Server", "Handler", Call], None]


@dataclass
class Server:
    """Answers as ``behaviour`` says: a name of :data:`BEHAVIOURS`, or one of its own. It may be changed at any time."""

    behaviour: str | Behaviour = "good"
    port: int = 0
    """0: any that is free."""
    calls: list[Call] = field(default_factory=list)

    def __enter__(self) -> Server:
        self._http = _Listener(("127.0.0.1", self.port), Handler)
        self._http.server = self  # type: ignore[attr-defined]
        self.released = threading.Event()
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        """What to set ``openai.base_url`` to."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # all that an advisor may have in flight


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a response of two writes waits 40 ms for an acknowledgement

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """A chat completion."""
        server: Server = self.server.server  # type: ignore[attr-defined]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        call = Call(body, self.headers.get("Authorization", ""), self.path)
        server.calls.append(call)
        try:
            behave = server.behaviour
            (BEHAVIOURS[behave] if isinstance(behave, str) else behave)(server, self, call)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """A whole response."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def say(self, text: str, finish: str = "stop", **message: Any) -> None:
        """A chat completion that says ``text``."""
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
        usage = {"prompt_tokens": 900, "completion_tokens": 60, "total_tokens": 960}
        completion = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        self.send(200, json.dumps({**completion, "usage": usage}).encode())

    def fail(self, status: int, message: str, **headers: str) -> None:
        """An error in OpenAI's form."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.send(status, json.dumps({"error": {"message": message, "type": "x", "code": None}}).encode(), named)


def good_answer(call: Call, **changes: Any) -> str:
    """An answer of the form that the question asks for: the first word of each axis, and no success."""
    schema, _ = json.JSONDecoder().raw_decode(call.text, call.text.index("\n{") + 1)
    answer: dict[str, Any] = {"id": call.asked_id, "reason": "because", "can_tell": True}
    for name, form in schema["properties"].items():
        if "enum" in form:
            answer[name] = form["enum"][0]
        elif name == "point":
            answer[name] = [10, 10]
        elif name == "accomplished":
            answer[name] = False
        elif name == "phases":
            asked = schema["$defs"]["Phase"]["properties"]
            target = asked["target"]["enum"][0] if "enum" in asked["target"] else asked["target"]["const"]
            phase = {"target": target, "opposite": "", "standoff": 0.0, "gripper": "hold", "tolerance": 0.02}
            subgoal = {"brings": "", "to": "", "within": 0.0} if "brings" in asked else {}
            answer[name] = [{**phase, "x": 0.0, "y": 0.0, "z": 0.0, **subgoal}]
    return json.dumps(answer | changes)


def _no_schema(server: Server, handler: Handler, call: Call) -> None:
    form = call.body.get("response_format", {}).get("type")
    if form is not None:
        return handler.fail(400, f"response_format {form} is not supported")
    return handler.say(f"Sure! Here you are:\n```json\n{good_answer(call)}\n```\nGood luck.")


def _hang(server: Server, handler: Handler, call: Call) -> None:
    server.released.wait(60)
    handler.close_connection = True


def _slow(server: Server, handler: Handler, call: Call) -> None:
    time.sleep(0.5)
    handler.say(good_answer(call))


def _drip(server: Server, handler: Handler, call: Call) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while not server.released.wait(0.1):
        handler.wfile.write(b" ")


def _drop(server: Server, handler: Handler, call: Call) -> None:
    handler.close_connection = True
    handler.connection.shutdown(2)


def _cut_off(server: Server, handler: Handler, call: Call) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b'20\r\n{"choices": [{"message": {"conte')
    handler.close_connection = True


def _once(first: str) -> Behaviour:
    """Misbehave as ``first`` the first time that a question comes, and well the second."""

    def behave(server: Server, handler: Handler, call: Call) -> None:
        again = sum(other.asked_id == call.asked_id for other in server.calls) > 1
        BEHAVIOURS["good" if again else first](server, handler, call)

    return behave


def _parrot(server: Server, handler: Handler, call: Call) -> None:
    handler.say(good_answer(call, reason=f"you sent {call.authorization}"))


def _uncounted(server: Server, handler: Handler, call: Call) -> None:
    handler.send(200, json.dumps({"choices": [{"message": {"content": good_answer(call)}}]}).encode())


BEHAVIOURS: dict[str, Behaviour] = {
    "good": lambda s, h, c: h.say(good_answer(c)),
    "prose": lambda s, h, c: h.say(f"Let me think. {good_answer(c)} I hope that helps {{}}."),
    "no_schema": _no_schema,
    "rate_limited": lambda s, h, c: h.fail(429, "slow down", retry_after="0.2"),
    "rate_limited_once": _once("rate_limited"),
    "rate_limited_long": lambda s, h, c: h.fail(429, "slow down", retry_after="3600"),
    "broken": lambda s, h, c: h.fail(500, "internal error"),
    "broken_once": _once("broken"),
    "wrong_key": lambda s, h, c: h.fail(401, f"Incorrect API key provided: {c.authorization}"),
    "unknown_model": lambda s, h, c: h.fail(404, "no such model"),
    "slow": _slow,
    "hang": _hang,
    "drip": _drip,
    "drop": _drop,
    "cut_off": _cut_off,
    "drop_once": _once("drop"),
    "truncated": lambda s, h, c: h.say(good_answer(c)[:-20], finish="length"),
    "cut_json": lambda s, h, c: h.say(good_answer(c)[:-20]),
    "cut_json_once": _once("cut_json"),
    "wrong_id": lambda s, h, c: h.say(good_answer(c, id=1)),
    "no_id": lambda s, h, c: h.say('{"reason": "r", "can_tell": true, "dx": "0", "dy": "0", "dz": "0"}'),
    "nan": lambda s, h, c: h.say(good_answer(c).replace('"-large"', "NaN", 1)),
    "out_of_range": lambda s, h, c: h.say(good_answer(c, dx=7)),
    "refusal": lambda s, h, c: h.say("", refusal="I will not help with robots."),
    "refusal_in_prose": lambda s, h, c: h.say("I'm sorry, but I can't help with that."),
    "cannot_tell": lambda s, h, c: h.say(good_answer(c, can_tell=False, reason="the picture is dark")),
    "empty": lambda s, h, c: h.say(""),
    "no_choices": lambda s, h, c: h.send(200, b'{"id": "x", "object": "chat.completion", "choices": []}'),
    "not_json": lambda s, h, c: h.send(200, b"<html>Bad gateway</html>"),
    "invalid_utf8": lambda s, h, c: h.send(200, b'{"choices": [{"message": {"content": "\xff\xfe\xfa"}}]}'),
    "huge": lambda s, h, c: h.say("x" * 10_000_000),
    "uncounted": _uncounted,
    "parrot": _parrot,
    "parrot_in_prose": lambda s, h, c: h.say(f"I was sent {'x' * 80} {c.authorization}"),
}


def main() -> None:
    """Serve as the arguments say: a behaviour, and a port, which is any that is free unless named."""
    behaviour, port, *more = [*sys.argv[1:], *("", "0")[len(sys.argv) - 1 :]]
    if behaviour not in BEHAVIOURS or more:
        sys.exit(f"error: name one behaviour of {', '.join(BEHAVIOURS)}, and a port if it is to be a certain one")
    if not port.isdecimal() or int(port) > _LAST_PORT:
        sys.exit(f"error: the port {port!r} is not a number from 0 to {_LAST_PORT}")
    try:
        with Server(behaviour, port=int(port)) as server, contextlib.suppress(KeyboardInterrupt):
            print(f"answers at {server.url} ({behaviour}); Ctrl-C ends it", flush=True)
            threading.Event().wait()
    except OSError as error:
        sys.exit(f"error: port {port} cannot be had ({error.strerror}); name another, or end what listens there")


if __name__ == "__main__":
    main()
