// AgentJobCompleted, version 1, made from its contract by json-schema-to-typescript.

/**
 * What went wrong, where Letta says so.
 */
export type AgentJobCompletedDataError = {
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
 * A job ended; how is in its status.
 */
export interface AgentJobCompleted {
  /**
   * Identifies the event; the same event told twice has the same id.
   */
  event_id: string;
  /**
   * The short name of the event's type.
   */
  event_type: "agent.job.completed";
  /**
   * When it happened (RFC 3339, UTC).
   */
  timestamp: string;
  /**
   * The agent the job worked for; null for a job without one.
   */
  agent_id: string | null;
  /**
   * The organization the agent belongs to.
   */
  organization_id: string;
  data: AgentJobCompletedData;
  [k: string]: unknown;
}
/**
 * The job.
 */
export interface AgentJobCompletedData {
  /**
   * Why it stopped: end_turn, error, llm_api_error, invalid_llm_response, invalid_tool_call, max_steps, max_tokens_exceeded, no_tool_call, tool_rule, cancelled, insufficient_credits, requires_approval or context_window_overflow_in_system_prompt; others may be added.
   */
  stop_reason?: string | null;
  /**
   * Whether it went on in the background.
   */
  background?: boolean | null;
  /**
   * The terminal status told before, where Letta changed its mind; see `causationid`.
   */
  previous_status?: string | null;
  error?: AgentJobCompletedDataError;
  /**
   * Names of the members here whose text was longer than 32 KiB and was cut; absent if none was.
   */
  truncated?: string[] | null;
  /**
   * When it was created.
   */
  created_at?: string | null;
  /**
   * When it ended.
   */
  completed_at?: string | null;
  /**
   * Time to the first token, in nanoseconds.
   */
  ttft_ns?: number | null;
  /**
   * Time from start to end, in nanoseconds.
   */
  total_duration_ns?: number | null;
  /**
   * What the caller or Letta noted with it.
   */
  metadata?: {
    [k: string]: unknown;
  } | null;
  /**
   * The job.
   */
  job_id: string;
  /**
   * completed, failed, cancelled or expired; others may be added.
   */
  status: string;
  /**
   * job, run or batch; others may be added.
   */
  job_type?: string | null;
  /**
   * The run it belongs to, if any.
   */
  run_id?: string | null;
  /**
   * The user who started it.
   */
  user_id?: string | null;
  [k: string]: unknown;
}
