"""One example per type, in the shape that Letta 0.16.8 gives them; each is valid against its contract."""

from typing import Any, Final

from schemas import names
from schemas.ids import event_id

_AGENT: Final = "agent-5f0a7c1e-6b0f-4d5e-9a57-0d5a3a5b1c11"
_ORGANIZATION: Final = "org-00000000-0000-4000-8000-000000000000"
_STEP: Final = "step-1b5e3c0e-8f5c-4f43-9c1a-7a4f6e1d2b22"
_FAILED_STEP: Final = "step-c3f7f7ba-3b1a-4a53-8f29-2f3f0f6c7d33"
_RUN: Final = "run-7d9e2f64-1c3b-4e8a-b0d6-9e8f7a6b5c44"
_MESSAGE: Final = "message-2a4c6e80-1357-4bdf-8ace-02468ace1355"
_TOOL: Final = "tool-9f8e7d6c-5b4a-4392-8170-6f5e4d3c2b66"
_JOB: Final = "job-31415926-5358-4979-8323-846264338377"
_EXECUTION: Final = "exec-a1b2c3d4e5f60718"


def _event(short_name: str, key: tuple[str, ...], timestamp: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "event_id": event_id(short_name, *key),
        "event_type": short_name,
        "timestamp": timestamp,
        "agent_id": _AGENT,
        "organization_id": _ORGANIZATION,
        "data": data,
    }


EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    names.STEP_COMPLETED: _event(
        names.STEP_COMPLETED,
        (_STEP,),
        "2026-01-01T12:00:01.250000Z",
        {
            "step_id": _STEP,
            "status": "completed",
            "run_id": _RUN,
            "model": "gpt-4o-mini",
            "model_handle": "openai-proxy/gpt-4o-mini",
            "provider_name": "openai-proxy",
            "provider_category": "base",
            "context_window_limit": 30000,
            "usage": {"prompt_tokens": 2186, "completion_tokens": 33, "total_tokens": 2219},
            "stop_reason": "end_turn",
        },
    ),
    names.STEP_FAILED: _event(
        names.STEP_FAILED,
        (_FAILED_STEP,),
        "2026-01-01T12:00:02Z",
        {
            "step_id": _FAILED_STEP,
            "status": "failed",
            "run_id": _RUN,
            "model": "gpt-4o-mini",
            "provider_name": "openai-proxy",
            "stop_reason": "llm_api_error",
            "error": {"type": "LLMRateLimitError", "message": "Rate limited by OpenAI: 429"},
        },
    ),
    names.MESSAGE_SENT: _event(
        names.MESSAGE_SENT,
        (_MESSAGE,),
        "2026-01-01T12:00:01.300000Z",
        {
            "message_id": _MESSAGE,
            "status": "sent",
            "step_id": _STEP,
            "run_id": _RUN,
            "role": "assistant",
            "text": "The meeting is on Friday at ten.",
            "model": "gpt-4o-mini",
            "created_at": "2026-01-01T12:00:01.200000Z",
        },
    ),
    names.TOOL_ATTACHED: _event(
        names.TOOL_ATTACHED,
        (_AGENT, _TOOL, "2026-01-01T11:59:00Z"),
        "2026-01-01T11:59:00Z",
        {"tool_id": _TOOL, "status": "attached", "tool_name": "roll_dice", "tool_type": "custom"},
    ),
    names.TOOL_DETACHED: _event(
        names.TOOL_DETACHED,
        (_AGENT, _TOOL, "2026-01-01T12:30:00Z"),
        "2026-01-01T12:30:00Z",
        {"tool_id": _TOOL, "status": "detached", "tool_name": "roll_dice", "tool_type": "custom"},
    ),
    names.RUN_COMPLETED: _event(
        names.RUN_COMPLETED,
        (_RUN, "completed"),
        "2026-01-01T12:00:01.500000Z",
        {
            "run_id": _RUN,
            "status": "completed",
            "stop_reason": "end_turn",
            "background": False,
            "created_at": "2026-01-01T12:00:00Z",
            "completed_at": "2026-01-01T12:00:01.500000Z",
            "total_duration_ns": 1500000000,
        },
    ),
    names.JOB_COMPLETED: _event(
        names.JOB_COMPLETED,
        (_JOB, "failed"),
        "2026-01-01T12:10:00Z",
        {
            "job_id": _JOB,
            "status": "failed",
            "job_type": "batch",
            "error": {"type": "ValueError", "message": "batch requests need an Anthropic agent"},
        },
    )
    | {"agent_id": None},
    names.TOOL_EXECUTION_COMPLETED: _event(
        names.TOOL_EXECUTION_COMPLETED,
        (_EXECUTION,),
        "2026-01-01T12:00:00.900000Z",
        {
            "tool_id": _TOOL,
            "status": "success",
            "execution_id": _EXECUTION,
            "tool_name": "roll_dice",
            "tool_type": "custom",
            "step_id": _STEP,
            "run_id": _RUN,
            "arguments": {"sides": 6},
            "func_return": "4",
            "stdout": ["rolling…"],
            "stderr": [],
        },
    ),
}
"""By short name."""
