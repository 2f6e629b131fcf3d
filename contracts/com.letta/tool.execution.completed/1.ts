// ToolExecutionCompleted, version 1, made from its contract by json-schema-to-typescript.

/**
 * What went wrong, where status is error.
 */
export type ToolExecutionCompletedDataError = {
  /**
   * The class of the error, such as LLMRateLimitError.
   */
  type?: string | null;
  /**
   * The error in words, for people; may be cut, see `truncated`.
   */
  message?: string | null;
  [k: string]: unknown;
} | null;

/**
 * A call of a tool ended; whether well is in its status.
 */
export interface ToolExecutionCompleted {
  /**
   * Identifies the event; the same event told twice has the same id.
   */
  event_id: string;
  /**
   * The short name of the event's type.
   */
  event_type: "tool.execution.completed";
  /**
   * When it happened (RFC 3339, UTC).
   */
  timestamp: string;
  /**
   * The agent that called the tool.
   */
  agent_id: string;
  /**
   * The organization the agent belongs to.
   */
  organization_id: string;
  data: ToolExecutionCompletedData;
  [k: string]: unknown;
}
/**
 * The call.
 */
export interface ToolExecutionCompletedData {
  /**
   * The tool.
   */
  tool_id: string;
  /**
   * success or error; others may be added.
   */
  status: string;
  /**
   * This call, told apart from every other call of the tool.
   */
  execution_id?: string | null;
  /**
   * The name of the function that was called.
   */
  tool_name?: string | null;
  /**
   * The kind of tool, such as custom or letta_core.
   */
  tool_type?: string | null;
  /**
   * The step that called it, if any.
   */
  step_id?: string | null;
  /**
   * The run it was called in, if any.
   */
  run_id?: string | null;
  /**
   * The arguments of the call.
   */
  arguments?: {
    [k: string]: unknown;
  } | null;
  /**
   * What the tool returned, any JSON value; text over 32 KiB is cut.
   */
  func_return?: unknown;
  /**
   * What it printed.
   */
  stdout?: string[] | null;
  /**
   * What it printed to standard error.
   */
  stderr?: string[] | null;
  error?: ToolExecutionCompletedDataError;
  /**
   * Names of the members here whose text was longer than 32 KiB and was cut; absent if none was.
   */
  truncated?: string[] | null;
  /**
   * How long the call took, in milliseconds.
   */
  duration_ms?: number | null;
  [k: string]: unknown;
}
