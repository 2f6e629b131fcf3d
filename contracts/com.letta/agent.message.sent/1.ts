// AgentMessageSent, version 1, made from its contract by json-schema-to-typescript.

/**
 * A reply of an agent is stored.
 */
export interface AgentMessageSent {
  /**
   * Identifies the event; the same event told twice has the same id.
   */
  event_id: string;
  /**
   * The short name of the event's type.
   */
  event_type: "agent.message.sent";
  /**
   * When it happened (RFC 3339, UTC).
   */
  timestamp: string;
  /**
   * The agent that replied.
   */
  agent_id: string;
  /**
   * The organization the agent belongs to.
   */
  organization_id: string;
  data: AgentMessageSentData;
  [k: string]: unknown;
}
/**
 * The message.
 */
export interface AgentMessageSentData {
  /**
   * The message.
   */
  message_id: string;
  /**
   * sent, where given.
   */
  status?: string | null;
  /**
   * The step that made it.
   */
  step_id?: string | null;
  /**
   * The run it was made in, if any.
   */
  run_id?: string | null;
  /**
   * The conversation it belongs to, if any.
   */
  conversation_id?: string | null;
  /**
   * assistant.
   */
  role?: string | null;
  /**
   * The reply in words, at most 32 KiB of UTF-8.
   */
  text?: string | null;
  /**
   * Names of the members here whose text was longer than 32 KiB and was cut; absent if none was.
   */
  truncated?: string[] | null;
  /**
   * The name of the sender, where it has one.
   */
  name?: string | null;
  /**
   * The model that wrote it.
   */
  model?: string | null;
  /**
   * The call of send_message that carried the reply, for agent types that reply by tool.
   */
  tool_call_id?: string | null;
  /**
   * The offline threading id a client gave.
   */
  otid?: string | null;
  /**
   * The group of agents it was sent in.
   */
  group_id?: string | null;
  /**
   * The identity or agent that sent it.
   */
  sender_id?: string | null;
  /**
   * When it was made.
   */
  created_at?: string | null;
  [k: string]: unknown;
}
