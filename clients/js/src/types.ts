// The objects of /ttp/v1 as far as a client needs them; all of them are in /ttp/v1/openapi.json.

/** What a server says of itself. `instance` is another one after every start. */
export interface Info {
  name: string;
  version: string;
  protocol: number;
  instance: string;
  pid: number;
  user: string;
  /** The policy that is meant where none is named or configured. */
  policy: string;
  default_reward: boolean;
}

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

/** What one answer may cost. */
export interface Budget {
  /** Seconds for the whole answer. */
  deadline_s?: number;
  max_candidates?: number;
  memory_bytes?: number;
  mode?: "fast" | "balanced" | "best";
}

/** What to answer, and how. Either `prompt` or `messages` is needed. */
export interface DraftRequest {
  prompt?: string;
  messages?: Message[];
  system?: string;
  /** Documents for this answer: shown to the policy, never stored as the user's writing. */
  context?: string[];
  /** The input under which an accepted text is kept. */
  remember?: string;
  /** Exactly so many candidates; left out: as many as they are worth. */
  n?: number;
  budget?: Budget;
  select?: "mean" | "lcb" | "shrink" | "thompson" | "consensus" | "logprob" | "first";
  /** Fields of edge_ttp.schema.Sampling: max_tokens, temperature, stop, json_schema ... */
  sampling?: Record<string, unknown>;
  seed?: number;
  speaker?: "user" | "policy" | "text";
  kind?: string;
  examples?: number;
  core?: number;
  store?: boolean;
  model?: string;
}

export interface Candidate {
  text: string;
  /** Reward: mean and variance, null where nothing judged it. */
  mean: number | null;
  variance: number | null;
  score: number | null;
  logprob: number;
  tokens: number;
  finish_reason: string;
  [field: string]: unknown;
}

/** One answer, whole. */
export interface Generation {
  text: string;
  generation_id: string;
  user: string;
  prompt: string;
  model: string;
  n: number;
  chosen: number;
  candidates: Candidate[];
  selection: { rule: string; reason: string; [field: string]: unknown };
  notes: string[];
  stored: boolean;
  [field: string]: unknown;
}

/** One step of an answer under way; the last one is `done` and has the generation. */
export interface DraftEvent {
  type:
    | "queued"
    | "planned"
    | "delta"
    | "progress"
    | "finished"
    | "dropped"
    | "leading"
    | "scored"
    | "selected"
    | "done";
  /** Index of the candidate that the event is about. */
  candidate?: number;
  /** delta: what was added. finished, dropped, leading: the candidate's text. selected, done: the answer. */
  text?: string;
  tokens?: number[];
  n?: number;
  finish_reason?: string;
  /** queued: requests that come before it, and itself. */
  position?: number;
  expected_s?: number;
  generation?: Generation;
}

/** What the user did with an answer. */
export interface Judgment {
  kind: "accept" | "reject" | "edit" | "prefer" | "copied" | "regenerated";
  /** prefer: which candidate, from 0. */
  candidate?: number;
  /** edit: what was sent instead. */
  text?: string;
}
