# ruff: noqa: E501 (a row a line)
"""What servers refuse, and how they say so: adapted to once, or a status with the server's own reason."""

import json
import logging
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
from varl_common.advice_status import AdviceStatus
from varl_vlm_advisor.testing.server import Call
from varl_vlm_advisor.testing.shapes import Shape, said

pytest.importorskip("openai")

UNAVAILABLE, REFUSED, BUDGET = AdviceStatus.UNAVAILABLE, AdviceStatus.REFUSED, AdviceStatus.BUDGET


def error(message: str, **more: Any) -> dict[str, Any]:
    """An error in OpenAI's form."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}}


def refuses(
    source: str, when: Callable[[Call], bool], status: int, body: Any, calls: tuple[int, int] = (2, 1)
) -> Shape:
    """A row: the server refuses what ``when`` finds in a request, and answers without it."""
    return Shape(
        source,
        lambda call, a: (status, body) if when(call) else (200, said({"content": a})),
        AdviceStatus.OK,
        "",
        calls,
    )


def fails(source: str, status: int, body: Any, *expected: Any, **headers: str) -> Shape:
    """A row: the server always answers so."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Shape(source, lambda call, a: (status, body, named), *expected)


def fails_first(source: str, status: int, body: Any, **headers: str) -> Shape:
    """A row: the server answers so once, and then well."""
    seen: list[int] = []
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(call: Call, a: str) -> tuple[Any, ...]:
        seen.append(0)
        return (status, body, named) if len(seen) == 1 else (200, said({"content": a}))

    return Shape(source, answer, AdviceStatus.OK, "", (2, 1))


def form(call: Call) -> str:
    return str(call.body.get("response_format", {}).get("type", ""))


def has(name: str) -> Callable[[Call], bool]:
    return lambda call: name in call.body


def has_system(call: Call) -> bool:
    return bool(call.body["messages"][0]["role"] == "system")


LIMIT = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
TEMPERATURE = (
    "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is supported."
)
JINJA = '\n------------\nWhile executing CallExpression at line 19: {{ raise_exception("Conversation roles must alternate") }}'
STREAM = "This model only support stream mode, please enable the stream parameter to access the model. "
BODY = "Failed to deserialize the JSON body into the target type: "
UNSEEN = "No endpoints found that support image input"
GEMINI = "Invalid JSON payload received. Unknown name \"const\" at 'generation_config.response_schema.properties[0].value': Cannot find field."


def streams(call: Call, a: str) -> tuple[Any, ...]:
    if not call.body.get("stream"):
        return 400, {**error(STREAM, code="invalid_parameter_error"), "request_id": "8eeb3d9a"}
    halves = ({"delta": {"content": part}} for part in (a[:20], a[20:]))
    lines = "".join(f"data: {json.dumps({'choices': [half]})}\n\n" for half in halves)
    return 200, lines + "data: [DONE]\n\n", {"Content-Type": "text/event-stream"}


def moves(call: Call, a: str) -> tuple[Any, ...]:
    there = "/api/v1/chat/completions"
    return (200, said({"content": a})) if call.path == there else (301, "<html>moved</html>", {"Location": there})


def refuses_twice(call: Call, a: str) -> tuple[Any, ...]:
    if "max_tokens" in call.body:
        return 400, error(LIMIT, param="max_tokens")
    return (400, error(TEMPERATURE)) if "temperature" in call.body else (200, said({"content": a}))


ADAPTED = [
    refuses("opencode#37964", has("max_tokens"), 400, error(LIMIT, param="max_tokens", code="unsupported_parameter")),
    refuses(
        "void#128: neither name is known",
        lambda call: "max_tokens" in call.body or "max_completion_tokens" in call.body,
        422,
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "max_tokens"], "msg": "Extra inputs are not permitted"}]},
        (3, 1),
    ),
    refuses("qwen-code#921", has("temperature"), 400, error(TEMPERATURE, param="temperature", code="unsupported_value")),
    refuses("anthropic: temperature deprecated", has("temperature"), 400, {"type": "error", **error("`temperature` is deprecated for this model.")}),
    refuses("khoj#1336", lambda c: form(c) == "json_schema", 400, error("This response_format type is unavailable now")),
    refuses("litellm#7580", lambda c: form(c) == "json_schema", 422, f"{BODY}response_format: response_format.type `json_schema` is unavailable now at line 1 column 1193"),
    refuses("lmstudio#189: json_object too", lambda c: form(c) != "", 400, {"error": "'response_format.type' must be 'text'"}, (3, 1)),
    refuses("new-api#1037: Gemini, in a list", lambda c: form(c) == "json_schema", 400, [{"error": {"code": 400, "message": GEMINI, "status": "INVALID_ARGUMENT"}}]),
    refuses("llama.cpp: a grammar that fails, 500", lambda c: form(c) == "json_schema", 500, error("failed to parse grammar", code=500)),
    refuses("TGI: grammar", lambda c: form(c) != "", 422, {"error": "Input validation error: grammar is not supported", "error_type": "validation"}, (3, 1)),
    refuses("it does not say what", lambda c: form(c) == "json_schema", 400, "Bad Request"),
    refuses("sglang#892: system role, 500", has_system, 500, "Internal Server Error: System role not supported"),
    refuses("raycast#34: roles alternate, 500", has_system, 500, error(JINJA, code=500)),
    refuses("opencode#5034: roles by name", has_system, 500, error("Only user, assistant and tool roles are supported, got system.")),
    refuses("o1-mini: system", has_system, 400, error("Unsupported value: 'messages[0].role' does not support 'system' with this model.")),
    Shape("OpenManus#330: only streams", streams, AdviceStatus.OK, "", (2, 1)),
    Shape("gpt-5: one refusal after the other", refuses_twice, AdviceStatus.OK, "", (3, 1)),
    refuses("a list of fields", has("max_tokens"), 400, {"errors": [{"field": "max_tokens", "message": "unknown field"}]}),
    refuses("the parameter in a code alone", has("max_tokens"), 400, error("参数不支持", param="max_tokens", code="unsupported_parameter")),
    refuses("a refusal under 200", has("temperature"), 200, {"error": {"message": "Unsupported parameter: temperature", "code": "unsupported_parameter"}}),
    refuses("strict is extra", lambda c: form(c) == "json_schema", 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "response_format", "json_schema", "strict"], "msg": "Extra inputs are not permitted"}]}),
    refuses("a schema's keyword", lambda c: form(c) == "json_schema", 400, error("Invalid schema for response_format 'advice': In context=('properties', 'id'), 'const' is not permitted.")),
    refuses("501", lambda c: form(c) == "json_schema", 501, error("Not implemented: response_format json_schema")),
    refuses("Anthropic: system", has_system, 400, error('messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter')),
    refuses("the user first", has_system, 400, error('messages: first message must use the "user" role')),
    refuses("no system messages", has_system, 400, error("System messages are not supported by this model")),
    refuses("FastAPI: role", has_system, 422, {"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Input should be 'user' or 'assistant'"}]}),
    refuses("Mistral's template", has_system, 400, error("Only user and assistant roles are supported!")),
    refuses("a role that is invalid", has_system, 400, error("Invalid role: system")),
    refuses("no answer but a stream", lambda c: not c.body.get("stream"), 400, error("Non-streaming requests are not supported for this model")),
    refuses("FastAPI: stream is missing", lambda c: "stream" not in c.body, 422, {"detail": [{"loc": ["body", "stream"], "msg": "Field required"}]}),
    refuses("FastAPI: image_url is a string", lambda c: c.pictures > 0, 422, {"detail": [{"loc": ["body", "messages", 1, "content", 0, "image_url"], "msg": "Input should be a valid string"}]}),
    refuses("Go: image_url is a string", lambda c: c.pictures > 0, 400, error("json: cannot unmarshal object into Go struct field .image_url of type string")),
    Shape("moved to another path of the same host", moves, AdviceStatus.OK, "", (2, 1)),
]  # fmt: skip

TOLD = [
    fails("oai-compatible-copilot#229", 404, {"error": {"code": "404", "message": UNSEEN, "param": "", "type": ""}}, UNAVAILABLE, UNSEEN),
    fails("llama.cpp#13566", 500, error("image input is not supported by this server", code=500), UNAVAILABLE, "model that sees"),
    fails("llamastash#13", 500, error("image input is not supported - hint: you may need to provide the mmproj"), UNAVAILABLE, "mmproj"),
    fails("vllm: no picture allowed", 400, {"object": "error", "message": "At most 0 image(s) may be provided in one request."}, UNAVAILABLE, "At most 0 image"),
    fails("web-ui#314: DeepSeek", 422, f"{BODY}messages[1]: data did not match any variant of untagged enum ChatCompletionRequestContent", UNAVAILABLE, "model that sees"),
    fails("DeepSeek: unknown variant", 400, error(f"{BODY}messages[1]: unknown variant `image_url`, expected `text`"), UNAVAILABLE, "unknown variant"),
    fails("LM Studio: text only", 400, {"error": "Model does not support images. Please use a model that does."}, UNAVAILABLE, "does not support images"),
    fails("no such model", 404, error("The model `m` does not exist", code="model_not_found"), UNAVAILABLE, "does not exist"),
    fails("LiteLLM: no such model", 400, error("Invalid model name passed in model=m"), UNAVAILABLE, "Invalid model name"),
    fails("FastAPI: base_url without /v1", 404, {"detail": "Not Found"}, UNAVAILABLE, "up to and with /v1"),
    fails("Ollama: base_url without /v1", 404, "404 page not found", UNAVAILABLE, "404 page not found"),
    fails("too long", 400, {"message": "This model's maximum context length is 1024 tokens. However, you requested 1900 tokens", "code": 400}, UNAVAILABLE, "maximum context length"),
    fails("max_tokens too large", 400, error("max_tokens is too large: 1000. This model supports at most 512"), UNAVAILABLE, "too large"),
    fails("nginx: too large", 413, "<html><head><style>b{}</style></head><h1>413 Request Entity Too Large</h1></html>", UNAVAILABLE, "413 Request Entity Too Large"),
    fails("FastAPI: what is missing", 422, {"detail": [{"loc": ["body", "user"], "msg": "Field required", "input": {"messages": "image_url temperature"}}]}, UNAVAILABLE, "body.user: Field required", (3, 1)),
    fails("a key that is refused", 401, error("Incorrect API key provided: sk-1***9"), UNAVAILABLE, "refuses the key"),
    fails("a region that is refused", 403, error("Country, region, or territory not supported"), UNAVAILABLE, "territory not supported"),
    fails("DeepSeek: paid up", 402, error("Insufficient Balance"), BUDGET, "Insufficient Balance"),
    fails("claude-code#66314", 400, {"type": "error", **error("Your credit balance is too low to access the Anthropic API.")}, BUDGET, "credit balance"),
    fails("OpenAI: quota", 429, error("You exceeded your current quota", code="insufficient_quota"), BUDGET, "current quota"),
    fails("infinite-bookshelf#42: Groq", 400, error("Failed to generate JSON. See 'failed_generation'", code="json_validate_failed"), AdviceStatus.INVALID, "Failed to generate JSON", (3, 3)),
    fails("compl-ai#20: Azure's filter", 400, error("The response was filtered due to the prompt", code="content_filter"), REFUSED, "was filtered"),
    fails("DashScope's filter", 400, error("Input data may contain inappropriate content.", code="data_inspection_failed"), REFUSED, "inappropriate"),
    fails("OpenRouter's moderation", 403, error("Your chosen model requires moderation and your input was flagged"), REFUSED, "flagged"),
    fails("inspect_ai#1534: 429 under 200", 200, {"choices": None, "error": {"message": "Provider returned error", "code": 429, "metadata": {"raw": "Too Many Requests"}}}, UNAVAILABLE, "Too Many Requests", (3, 3)),
    fails("OpenJarvis#970: 502 under 200", 200, {"id": "gen", "error": {"message": "Upstream error from Nvidia", "code": 502}}, UNAVAILABLE, "Upstream error", (3, 3)),
    fails("an error in the choice", 200, {"choices": [{"finish_reason": "error", "error": {"message": "overloaded", "code": 503}, "message": {"content": ""}}]}, UNAVAILABLE, "503: overloaded", (3, 3)),
    fails("an error in a stream", 200, 'data: {"error": {"message": "stream broke", "code": 500}}\n\n', UNAVAILABLE, "stream broke", (3, 3)),
    fails("Cloudflare", 500, {"success": False, "errors": [{"code": 3030, "message": "worker died"}]}, UNAVAILABLE, "worker died", (3, 3)),
    fails("a gateway passes a body on", 500, error('{"error": {"message": "CUDA out of memory"}}'), UNAVAILABLE, "500: CUDA out of memory", (3, 3)),
    fails("no reason", 500, "", UNAVAILABLE, "gives no reason", (3, 3)),
    fails("Gemini: a wait in the body", 429, [{"error": {"code": 429, "message": "quota", "details": [{"retryDelay": "3600s"}]}}], UNAVAILABLE, "quota"),
    fails("a wait until a date", 429, error("slow"), UNAVAILABLE, "slow", retry_after=formatdate(time.time() + 3600, usegmt=True)),
    fails("an error that is a string, under 200", 200, {"error": "model is loading"}, UNAVAILABLE, "model is loading", (3, 3)),
    fails("an error that is a list", 200, {"error": ["model", "is loading"]}, UNAVAILABLE, "model; is loading", (3, 3)),
    fails("an error that is true, beside its reason", 200, {"error": True, "message": "overloaded, try later"}, UNAVAILABLE, "overloaded", (3, 3)),
    fails("an error's code beside it", 200, {"error": "no such key", "code": 401}, UNAVAILABLE, "401: no such key"),
    fails("a failure's code without an error", 200, {"code": 500, "msg": "inner", "data": None}, UNAVAILABLE, "500: inner", (3, 3)),
    fails("Cloudflare under 200", 200, {"success": False, "errors": [{"code": 7009, "message": "upstream"}]}, UNAVAILABLE, "upstream", (3, 3)),
    fails("an event that is an error", 200, 'event: error\ndata: {"type": "overloaded_error", "message": "Overloaded"}\n\n', UNAVAILABLE, "Overloaded", (3, 3)),
    fails("a proxy's login page", 200, "<title>Sign in</title><p>Please log in to the proxy", UNAVAILABLE, "Please log in", (3, 3), Content_Type="text/html"),
    fails("a way to a login page", 302, "", UNAVAILABLE, "302: it has moved to http", Location="/login?token=secret"),
    fails("a way to another host", 307, "", UNAVAILABLE, "it has moved to https://other.invalid/v1", Location="https://other.invalid/v1/chat/completions"),
    fails("a way round in a circle", 308, "", UNAVAILABLE, "it has moved to", (2, 1), Location="/v1/chat/completions"),
    fails("304", 304, "", UNAVAILABLE, "304"),
    fails("an empty body", 200, "", UNAVAILABLE, "no chat completion: nothing", (3, 3)),
    fails("204", 204, "", UNAVAILABLE, "no chat completion: nothing", (3, 3)),
    fails("not gzip, as it says", 200, "{}", UNAVAILABLE, "broke off", (3, 3), Content_Encoding="gzip"),
    fails("RFC 9457", 413, {"type": "about:blank", "title": "Payload too large", "status": 413}, UNAVAILABLE, "Payload too large"),
    fails("Apigee", 429, {"fault": {"faultstring": "Quota violation", "detail": {"errorcode": "policies.ratelimit"}}}, UNAVAILABLE, "Quota violation", (3, 3)),
    fails("AWS", 403, {"Message": "User is not authorized"}, UNAVAILABLE, "User is not authorized"),
    fails("OAuth", 401, {"error": "invalid_token", "error_description": "The token expired"}, UNAVAILABLE, "The token expired"),
    fails("entities", 502, "<h1>Can&#39;t reach &amp; connect</h1>", UNAVAILABLE, "Can't reach & connect", (3, 3)),
    fails("words in a field of no name", 400, {"error": {"message": {"nested": "deep words"}, "code": True}}, UNAVAILABLE, "deep words", (3, 1)),
    fails("Zhipu's filter", 400, error("可能包含不安全或敏感内容", code="1301"), REFUSED),
    fails("Zhipu: paid up", 429, error("余额不足", code="1113"), BUDGET, "spent"),
    fails("OpenRouter: a key's limit", 403, error("Key limit exceeded (total limit)"), BUDGET, "Key limit"),
    fails("FastAPI: text only", 422, {"detail": [{"loc": ["body", "messages", 1, "content", "str"], "msg": "Input should be a valid string"}]}, UNAVAILABLE, "model that sees"),
    fails("a wait in minutes", 429, error("Please try again in 7m12.5s."), UNAVAILABLE, "try again"),
    fails("a wait in words", 429, error("Please retry after 20 seconds."), UNAVAILABLE, "retry after"),
    fails("a wait in a field", 429, {"error": {"message": "slow", "retry_after": 3600}}, UNAVAILABLE, "slow"),
    fails("a wait until a date, in maintenance", 503, "<html>maintenance</html>", UNAVAILABLE, "maintenance", retry_after=formatdate(time.time() + 3600, usegmt=True)),
    fails("a wait that is nonsense", 429, error("slow"), UNAVAILABLE, "slow", (3, 3), retry_after="-1"),
    fails_first("a date that is over", 429, error("slow"), retry_after=formatdate(time.time() - 100, usegmt=True)),
    fails_first("llama.cpp: loading", 503, error("Loading model", type="unavailable_error", code=503)),
    fails_first("Anthropic: overloaded", 529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    fails_first("Azure: a wait in milliseconds", 429, error("slow"), retry_after_ms="20", retry_after="3600"),
    fails_first("Groq: a wait in words", 429, error("Rate limit reached. Please try again in 25ms.")),
]  # fmt: skip


@pytest.mark.parametrize("shape", ADAPTED, ids=lambda shape: shape.source)
def test_a_refused_part_is_asked_for_differently_from_then_on(
    shape: Shape, holds: Callable[[Shape], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    holds(shape)
    told = [record for record in caplog.records if "from now on" in record.getMessage()]
    assert len(told) == shape.calls[0] - 1  # once each, and not again


@pytest.mark.parametrize("shape", TOLD, ids=lambda shape: shape.source)
def test_a_failure_is_told_in_the_servers_own_words(shape: Shape, holds: Callable[[Shape], None]) -> None:
    holds(shape)


def test_a_guess_that_does_not_help_is_taken_back(holds: Callable[[Shape], None]) -> None:
    """The first picture is broken, which the server does not say: the schema is not given up for it."""
    seen: list[str] = []

    def answer(call: Call, a: str) -> tuple[Any, ...]:
        seen.append(form(call))
        return 400, "Bad Request"

    holds(Shape("a broken picture", answer, UNAVAILABLE, "Bad Request", (3, 1)))
    assert seen == ["json_schema", "json_object", "", "json_schema"]
