// AgentStepFailed, version 1, made from its contract by json-schema-to-typescript.

/**
 * Tokens used.
 */
export type AgentStepFailedDataUsage = {
  /**
   * Tokens in the prompt.
   */
  prompt_tokens?: number | null;
  /**
   * Tokens the model generated.
   */
  completion_tokens?: number | null;
  /**
   * Prompt and completion tokens together.
   */
  total_tokens?: number | null;
  /**
   * Prompt tokens served from the provider's cache; null if it does not tell.
   */
  cached_input_tokens?: number | null;
  /**
   * Prompt tokens written to the provider's cache; null if it does not tell.
   */
  cache_write_tokens?: number | null;
  /**
   * Tokens spent on reasoning, within the completion; null if the provider does not tell.
   */
  reasoning_tokens?: number | null;
  [k: string]: unknown;
} | null;
/**
 * What went wrong, where Letta says so.
 */
export type AgentStepFailedDataError = {
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
 * A step of an agent ended in an error or was cancelled.
 */
export interface AgentStepFailed {
  /**
   * Identifies the event; the same event told twice has the same id.
   */
  event_id: string;
  /**
   * The short name of the event's type.
   */
  event_type: "agent.step.failed";
  /**
   * When it happened (RFC 3339, UTC).
   */
  timestamp: string;
  /**
   * The agent that took the step.
   */
  agent_id: string;
  /**
   * The organization the agent belongs to.
   */
  organization_id: string;
  data: AgentStepFailedData;
  [k: string]: unknown;
}
/**
 * The step.
 */
export interface AgentStepFailedData {
  /**
   * The step.
   */
  step_id: string;
  /**
   * The run it belongs to, if any.
   */
  run_id?: string | null;
  /**
   * The model's name, such as gpt-4o-mini.
   */
  model?: string | null;
  /**
   * The model's handle, such as openai/gpt-4o-mini.
   */
  model_handle?: string | null;
  /**
   * The provider's name as configured in Letta.
   */
  provider_name?: string | null;
  /**
   * base, or byok (bring your own key).
   */
  provider_category?: string | null;
  /**
   * The context window configured, in tokens.
   */
  context_window_limit?: number | null;
  usage?: AgentStepFailedDataUsage;
  /**
   * Why the step stopped: end_turn, error, llm_api_error, invalid_llm_response, invalid_tool_call, max_steps, max_tokens_exceeded, no_tool_call, tool_rule, cancelled, insufficient_credits, requires_approval or context_window_overflow_in_system_prompt; others may be added.
   */
  stop_reason?: string | null;
  /**
   * The surface the step was started from.
   */
  origin?: string | null;
  /**
   * The trace id under which Letta recorded the step.
   */
  trace_id?: string | null;
  /**
   * The API request that led to the step, where Letta knows it.
   */
  request_id?: string | null;
  /**
   * The project of the agent (Letta Cloud).
   */
  project_id?: string | null;
  /**
   * failed or cancelled; others may be added.
   */
  status: string;
  error?: AgentStepFailedDataError;
  /**
   * Names of the members here whose text was longer than 32 KiB and was cut; absent if none was.
   */
  truncated?: string[] | null;
  [k: string]: unknown;
}
