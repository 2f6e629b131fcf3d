// A consumer of `letta-gateway contracts typescript`, as tsc sees it: both unions narrow, and nothing is left out.
import type { AgentStepFailed, LettaCloudEvent, LettaEvent, LettaThinCloudEvent } from "./events";

function never(value: never): never {
  throw new Error(`unforeseen: ${JSON.stringify(value)}`);
}

export function binary(event: LettaEvent): string | null {
  switch (event.event_type) {
    case "agent.run.completed":
      return event.data.run_id;
    case "agent.job.completed": {
      const agent: string | null = event.agent_id;
      return agent ?? event.data.job_id;
    }
    case "agent.step.completed":
      return event.data.step_id;
    case "agent.step.failed": {
      const failed: AgentStepFailed = event;
      return failed.data.error?.message ?? null;
    }
    case "agent.message.sent":
      return event.data.text ?? null;
    case "agent.tool.attached":
    case "agent.tool.detached":
    case "tool.execution.completed":
      return event.data.tool_id;
    default:
      return never(event);
  }
}

export function structured(event: LettaCloudEvent): number {
  if (event.type === "com.letta.agent.step.completed") {
    return event.data.data.usage?.total_tokens ?? 0;
  }
  const version: "1.0" = event.specversion;
  return version.length;
}

export function either(event: LettaCloudEvent | LettaThinCloudEvent): string {
  if (event.data === undefined) {
    const link: string = event.dataref;
    return `${event.type} ${link}`;
  }
  return event.data.event_type;
}

const seen: string[] = [];
for (const event of JSON.parse(process.argv[2]!) as LettaEvent[]) {
  seen.push(`${event.event_type} ${binary(event)}`);
}
console.log(JSON.stringify(seen));
