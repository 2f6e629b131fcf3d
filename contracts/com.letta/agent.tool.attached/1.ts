// AgentToolAttached, version 1, made from its contract by json-schema-to-typescript.

/**
 * A tool is attached to an agent.
 */
export interface AgentToolAttached {
  /**
   * Identifies the event; the same event told twice has the same id.
   */
  event_id: string;
  /**
   * The short name of the event's type.
   */
  event_type: "agent.tool.attached";
  /**
   * When it happened (RFC 3339, UTC).
   */
  timestamp: string;
  /**
   * The agent that gained the tool.
   */
  agent_id: string;
  /**
   * The organization the agent belongs to.
   */
  organization_id: string;
  data: AgentToolAttachedData;
  [k: string]: unknown;
}
/**
 * The tool.
 */
export interface AgentToolAttachedData {
  /**
   * The tool.
   */
  tool_id: string;
  /**
   * attached or detached, where given.
   */
  status?: string | null;
  /**
   * The name of the tool's function.
   */
  tool_name?: string | null;
  /**
   * custom, letta_core, letta_memory_core, letta_multi_agent_core, letta_sleeptime_core, letta_voice_sleeptime_core, letta_builtin, letta_files_core or external_mcp; others may be added.
   */
  tool_type?: string | null;
  [k: string]: unknown;
}
