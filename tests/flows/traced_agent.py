"""An agent server that traces, in small: one step with a tool call, told by the real emitter. Prints the trace's id.

    python traced_agent.py OTLP_GRPC_URL WHAT_THE_TOOL_SAYS

It has an OpenTelemetry of its own, as Letta has; the emitter finds it there.
"""

import sys
import uuid
from datetime import UTC, datetime

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import letta_emitter
import schemas
from letta_emitter.hooks.context import here
from letta_emitter.hooks.sending import deliver
from letta_emitter.mapping.calls import StepSucceeded, ToolExecuted

ORGANIZATION, AGENT = "org-traced", "agent-traced"


def main() -> None:
    provider = TracerProvider(resource=Resource({"service.name": "agent"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=sys.argv[1], insecure=True)))
    trace.set_tracer_provider(provider)
    tracer = trace.get_tracer("agent")
    step_id = f"step-{uuid.uuid4()}"
    with tracer.start_as_current_span("agent step") as step:
        with tracer.start_as_current_span("tool call"):
            deliver(
                ToolExecuted(
                    context=here(ORGANIZATION),
                    event_id=schemas.random_event_id(),
                    agent_id=AGENT,
                    tool_id="tool-1",
                    tool_name="add",
                    tool_type="custom",
                    step_id=step_id,
                    run_id="run-1",
                    status="success",
                    arguments={"a": 1},
                    func_return=sys.argv[2],
                    stdout=[],
                    stderr=[],
                    duration_ms=2,
                )
            )
        deliver(
            StepSucceeded(
                context=here(ORGANIZATION),
                step={
                    "id": step_id,
                    "agent_id": AGENT,
                    "run_id": "run-1",
                    "created_at": datetime.now(UTC).isoformat(),
                },
            )
        )
    letta_emitter.get_emitter().close(10)
    provider.shutdown()
    print(f"{step.get_span_context().trace_id:032x}", step_id)


if __name__ == "__main__":
    main()
