"""What clients of OpenAI's protocol rely on, tried against a running server: twenty behaviours, by number.

Each check is named after what it is known to break for (the table of docs/measured/server.md). A check says whether the
behaviour was seen and what was seen instead; None where it cannot be told from outside.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from edge_ttp.lab.bench.rival_servers import Served

_PATIENCE_S = 90.0
"""A server that takes longer for one of these short requests has not answered."""
MOST_SILENCE_S = 10.0
"""Clients drop a stream that says nothing for longer."""
_SHORT = [{"role": "user", "content": "Say hello to Ann."}]
_LONG = [{"role": "user", "content": "Tell me everything about the sea, the ships and the people who sail them."}]
_FOREIGN = "http://evil.example"
_ANY_KEY = "sk-whatever"  # what SDKs are given, since they need some


@dataclass(frozen=True)
class Seen:
    """What one check saw."""

    number: int
    """As in the table of docs/server.md."""
    behaviour: str
    kept: bool | None
    """None: cannot be told from outside, or this server has nothing of the kind."""
    said: str
    """What was seen, in a few words."""

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


Verdict = tuple[bool | None, str]
Check = Callable[[Served, httpx.Client], Verdict]


def observe(served: Served, advance: Callable[[float], None] = lambda done: None) -> list[Seen]:
    """All behaviours of one server, the last of which ends it."""
    found: list[Seen] = []
    with served.client(timeout=_PATIENCE_S) as http:
        for number, (behaviour, check) in enumerate(CHECKS, 1):
            try:
                kept, said = check(served, http)
            except (httpx.HTTPError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
                kept, said = False, f"{type(error).__name__}: {str(error)[:80]}"
            found.append(Seen(number, behaviour, kept, said))
            advance(number)
    return found


def _body(served: Served, messages: Any = None, **fields: Any) -> dict[str, Any]:
    return {"model": served.model, "messages": messages or _SHORT, "max_tokens": 12, "temperature": 0.8, **fields}


def _ask(http: httpx.Client, body: dict[str, Any]) -> httpx.Response:
    return http.post("/v1/chat/completions", json=body)


def _stream(http: httpx.Client, body: dict[str, Any]) -> Iterator[str]:
    """The lines of a streamed answer, line ends taken off."""
    with http.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as answer:
        if answer.status_code != 200:
            answer.read()
            yield answer.text
            return
        yield from answer.iter_lines()


def _chunks(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ") and line != "data: [DONE]"]


def _models(served: Served, http: httpx.Client) -> Verdict:
    body = http.get("/v1/models").json()
    wanted = {"id", "object", "created", "owned_by"}
    absent = {name for one in body["data"] for name in wanted - one.keys()}
    good = body.get("object") == "list" and bool(body["data"]) and not absent
    return good, f"without {', '.join(sorted(absent))}" if absent else f"{len(body['data'])} models"


def _messages(served: Served, http: httpx.Client) -> Verdict:
    lines = list(_stream(http, _body(served)))
    data = [line for line in lines if line]
    odd = [line for line in data if not line.startswith(("data: ", ":"))]
    return not odd and data[-1] == "data: [DONE]", f"last {data[-1][:20]!r}" + (f", odd {odd[0][:20]!r}" if odd else "")


def _usage_chunk(served: Served, http: httpx.Client) -> Verdict:
    chunks = _chunks(list(_stream(http, _body(served, stream_options={"include_usage": True}))))
    empty = [place for place, one in enumerate(chunks) if not one["choices"]]
    good = empty == [len(chunks) - 1] and chunks[-1]["usage"]["completion_tokens"] > 0
    return good, f"empty choices in {len(empty)} of {len(chunks)} chunks"


def _usage(served: Served, http: httpx.Client) -> Verdict:
    usage = _ask(http, _body(served)).json().get("usage") or {}
    return all(usage.get(name, 0) > 0 for name in ("prompt_tokens", "completion_tokens", "total_tokens")), str(
        {name: usage[name] for name in usage if isinstance(usage[name], int)}
    )


def _error_in_stream(served: Served, http: httpx.Client) -> Verdict:
    too_long = [{"role": "user", "content": "word " * 40_000}]
    lines = [line for line in _stream(http, _body(served, too_long)) if line]
    told = json.loads(lines[-1].removeprefix("data: ").removeprefix("error: ")) if lines else {}
    error = told.get("error")
    good = isinstance(error, dict) and {"message", "type", "code"} <= error.keys()
    return good, str(error or told)[:80]


def _silence(served: Served, http: httpx.Client) -> Verdict:
    body = {**_body(served, _LONG, n=8, max_tokens=96), "stream": True}
    longest, last = 0.0, time.monotonic()
    with http.stream("POST", "/v1/chat/completions", json=body) as answer:
        for _ in answer.iter_raw():
            now = time.monotonic()
            longest, last = max(longest, now - last), now
    if answer.status_code != 200:
        return False, f"{answer.status_code}"
    return longest <= MOST_SILENCE_S, f"silent for {longest:.1f} s at most"


def _leaving(served: Served, http: httpx.Client) -> Verdict:
    said, good = [], True
    for streaming in (True, False):
        took = _after_leaving(served, http, streaming=streaming)
        good &= took < 5.0
        said.append(f"{'streaming' if streaming else 'not streaming'} {took:.1f} s")
    return good, "a short request afterwards: " + ", ".join(said)


def _after_leaving(served: Served, http: httpx.Client, *, streaming: bool) -> float:
    """Seconds that a short request takes after 4 clients left their long ones."""

    def leave(at: int) -> None:
        body = {**_body(served, _LONG, max_tokens=2000, seed=at), "stream": streaming}
        try:
            with served.client(timeout=1.0) as one, one.stream("POST", "/v1/chat/completions", json=body) as answer:
                next(answer.iter_raw(), b"")
        except httpx.HTTPError:
            return

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(leave, range(4)))
    time.sleep(0.3)
    began = time.monotonic()
    _ask(http, _body(served, max_tokens=4)).raise_for_status()
    return time.monotonic() - began


def _side_by_side(served: Served, http: httpx.Client) -> Verdict:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda at: _ask(http, _body(served, seed=at, max_tokens=24)), range(8)))
    whole = [one for one in answers if one.status_code == 200 and one.json()["choices"][0]["message"]["content"]]
    return len(whole) == len(answers), f"{len(whole)} of {len(answers)} answered whole"


def _choices(served: Served, http: httpx.Client) -> Verdict:
    body = _body(served, _LONG, n=4, max_tokens=16, temperature=1.0)
    answer = _ask(http, body)
    if answer.status_code != 200:
        return False, f"{answer.status_code}"
    found = answer.json()["choices"]
    texts = {one["message"]["content"] for one in found}
    indices = sorted({one["index"] for chunk in _chunks(list(_stream(http, body))) for one in chunk["choices"]})
    good = len(texts) == 4 and [one["index"] for one in found] == [0, 1, 2, 3] and indices == [0, 1, 2, 3]
    return good, f"{len(found)} choices, {len(texts)} different, streamed indices {indices}"


def _logprobs(served: Served, http: httpx.Client) -> Verdict:
    answer = _ask(http, _body(served, logprobs=True, top_logprobs=2))
    if answer.status_code != 200:
        return answer.status_code == 400, f"refused with {answer.status_code}"
    told = answer.json()["choices"][0].get("logprobs")
    entries = told.get("content") if isinstance(told, dict) else None
    good = isinstance(entries, list) and {"token", "logprob", "top_logprobs"} <= entries[0].keys()
    return good, "given in OpenAI's form" if good else f"ignored: {str(told)[:40]}"


def _fields(served: Served, http: httpx.Client) -> Verdict:
    """The fields of which behaviour 11 speaks; what was not honoured is named."""
    schema = {"type": "object", "properties": {"day": {"enum": ["Thursday", "Friday"]}}, "required": ["day"]}
    made = {"type": "json_schema", "json_schema": {"name": "day", "schema": {**schema, "additionalProperties": False}}}
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]

    def answered(**fields: Any) -> dict[str, Any]:
        found: dict[str, Any] = _ask(http, _body(served, **fields)).raise_for_status().json()
        return found

    def text(**fields: Any) -> str:
        return str(answered(**fields)["choices"][0]["message"]["content"])

    def stops() -> bool:
        plain = text(temperature=0, max_tokens=24)
        return plain[2:4] not in text(temperature=0, max_tokens=24, stop=[plain[2:4]])

    def drawn(**fields: Any) -> int:
        return int(answered(**fields)["usage"]["completion_tokens"])

    tried: dict[str, Callable[[], bool]] = {
        "stop": stops,
        "seed": lambda: text(seed=7, temperature=1.0) == text(seed=7, temperature=1.0),
        "max_tokens": lambda: drawn(max_tokens=3) <= 3,
        "max_completion_tokens": lambda: drawn(max_tokens=None, max_completion_tokens=3) <= 3,
        "json_schema": lambda: json.loads(text(response_format=made, max_tokens=80))["day"] in ("Thursday", "Friday"),
        "tools: auto": lambda: bool(answered(tools=[tool], tool_choice="auto")),
        "unknown fields": lambda: bool(answered(a_field_of_next_year=1)),
        "images": lambda: _ask(http, _body(served, image)).status_code in (400, 415, 422),
    }
    broken = []
    for name, honoured in tried.items():
        try:
            if not honoured():
                broken.append(name)
        except httpx.HTTPStatusError as error:
            broken.append(f"{name} ({error.response.status_code})")
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            broken.append(name)
    return not broken, f"not so: {', '.join(broken)}" if broken else "all that were tried"


def _parts(served: Served, http: httpx.Client) -> Verdict:
    parts = [{"type": "text", "text": "Say hello "}, {"type": "text", "text": "to Ann."}]
    status = _ask(http, _body(served, [{"role": "user", "content": parts}])).status_code
    return status == 200, str(status)


def _cross_origin(served: Served, http: httpx.Client) -> Verdict:
    answer = http.get("/v1/models", headers={"origin": _FOREIGN})
    let = answer.headers.get("access-control-allow-origin")
    return let is None, f"{answer.status_code}, lets {let!r} read" if let else f"{answer.status_code}, no page may read"


def _bearers(served: Served, http: httpx.Client) -> Verdict:
    with served.client(token=_ANY_KEY) as other:
        bare = _ask(other, _body(served, max_tokens=2)).status_code
        mine = _ask(other, {**_body(served, max_tokens=2), "model": "me"}).status_code
    if served.seen_while_loading and mine == 401:
        return bare == 200, f"bare policy {bare}, the person {mine}"
    return bare == 200, f"bare policy {bare}; there is no person to guard"


def _rebinding(served: Served, http: httpx.Client) -> Verdict:
    status = http.get("/v1/models", headers={"host": "evil.example"}).status_code
    return 400 <= status < 500, f"a foreign Host gets {status}"


def _health(served: Served, http: httpx.Client) -> Verdict:
    status = http.get("/health").status_code
    if status != 200:
        return False, f"/health is {status}"
    if 503 not in served.seen_while_loading:
        return None, f"never asked while it loaded ({served.seen_while_loading[:3]})"
    return True, "503 while it loaded"


def _best_of_n(served: Served, http: httpx.Client) -> Verdict:
    fields = {"model": "me", "max_tokens": 24, "store": False, "edge_ttp": {"candidates": 8}}
    lines = list(_stream(http, _body(served, _LONG, **fields)))
    chunks = _chunks([line for line in lines if line])
    told = next((one["edge_ttp"] for one in chunks if isinstance(one.get("edge_ttp"), dict)), None)
    if told is None:
        return None, "no best of N"
    text = "".join(one["choices"][0]["delta"].get("content") or "" for one in chunks if one["choices"])
    return bool(text) and told["n"] == 8, f"{told['n']} candidates, {told['reason'][:50]}"


def _earlier_turns(served: Served, http: httpx.Client) -> Verdict:
    system = {"role": "system", "content": "Answer as a pirate would. " * 8}
    earlier = [{"role": "user", "content": "My name is Ann."}, {"role": "assistant", "content": "Ahoy, Ann!"}]
    counts = [
        int(_ask(http, _body(served, [*before, *_SHORT], max_tokens=2)).json()["usage"]["prompt_tokens"])
        for before in ([], [system], [system, *earlier])
    ]
    return counts[0] < counts[1] < counts[2], f"prompts of {', '.join(map(str, counts))} tokens"


def _limits(served: Served, http: httpx.Client) -> Verdict:
    wrong = http.post("/v1/chat/completions", content=b'{"model": ', headers={"content-type": "application/json"})
    worse = _ask(http, {"model": served.model, "messages": [{"role": 7}], "temperature": "hot"})
    told = wrong.text + worse.text
    if "Traceback" in told or ".py" in told or max(wrong.status_code, worse.status_code) >= 500:
        return False, f"a malformed request gets {wrong.status_code}, {worse.status_code}"
    try:
        status = http.post("/v1/chat/completions", content=b" " * (64 * 2**20)).status_code
    except httpx.TransportError:
        return True, "64 MiB: the connection is closed"
    return status == 413, f"64 MiB get {status}"


def _terminated(served: Served, http: httpx.Client) -> Verdict:
    """Ends the server while it draws."""
    if not served.signalled:
        return None, "started from a library: signals are its host's"

    def long() -> None:
        try:
            _ask(http, _body(served, _LONG, max_tokens=4000))
        except httpx.HTTPError:
            return

    with ThreadPoolExecutor(1) as threads:
        threads.submit(long)
        time.sleep(1.0)
        served.process.send_signal(signal.SIGTERM)
        try:
            code = served.process.wait(15)
        except subprocess.TimeoutExpired:
            served.process.kill()
            return False, "still there after 15 s"
    return code == 0, f"exit code {code}"


CHECKS: tuple[tuple[str, Check], ...] = (
    ("models have all fields", _models),
    ("server-sent events end with [DONE]", _messages),
    ("usage as one last chunk", _usage_chunk),
    ("usage without streaming", _usage),
    ("an error of a stream is an object", _error_in_stream),
    ("a stream is never silent for 10 s", _silence),
    ("decoding ends when the client goes", _leaving),
    ("parallel requests are all served", _side_by_side),
    ("n different choices", _choices),
    ("logprobs, or a clear 400", _logprobs),
    ("fields are honoured or refused", _fields),
    ("content in parts", _parts),
    ("no other page may read", _cross_origin),
    ("any bearer for a bare policy", _bearers),
    ("no DNS rebinding", _rebinding),
    ("/health is 503 while loading", _health),
    ("best of N in a stream", _best_of_n),
    ("system message and earlier turns count", _earlier_turns),
    ("bounded requests, no traceback", _limits),
    ("SIGTERM ends it with 0", _terminated),
)
