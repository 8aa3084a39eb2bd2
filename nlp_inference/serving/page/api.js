// Requests to the server of this page. Addresses are relative, so that it can be mounted below a path.

const KEY = "nlp-inference-key";

/** A request that failed: the HTTP status (0 without a response), and what the server says. */
export class RequestFailed extends Error {
  constructor(status, message, { kind = "", requestId = "", retryAfter = 0 } = {}) {
    super(message);
    Object.assign(this, { status, kind, requestId, retryAfter });
  }

  /** What to do, in addition to what the server says. */
  get advice() {
    const advice = {
      0: "Check that the server runs and that this page can reach it.",
      401: "Enter a key of this server. It stays in this tab.",
      408: "The connection is slow; try again, or send a shorter text.",
      413: "Shorten the text, or raise the limits of the server.",
      429: "The server has more work than it can do in time.",
      503: "The model is being loaded, or the server restarts.",
      504: "Try a shorter text, or try again when the server has less work.",
    };
    if (this.status === 500 && this.requestId) return `The log of the server states the cause under request ${this.requestId}.`;
    return advice[this.status] ?? "";
  }

  /** Seconds after which the same request may succeed; 0 if it must be changed. */
  get waits() {
    return [429, 503].includes(this.status) ? this.retryAfter || 2 : this.status === 0 ? 3 : 0;
  }
}

export const key = {
  get() {
    try {
      return sessionStorage.getItem(KEY) ?? this.value ?? "";
    } catch {
      return this.value ?? "";
    }
  },
  set(value) {
    this.value = value; // for frames in which storage is blocked
    try {
      if (value) sessionStorage.setItem(KEY, value);
      else sessionStorage.removeItem(KEY);
    } catch {
      // It lasts as long as the page.
    }
  },
};

/** The address of an endpoint, for programs outside this page. */
export const address = (path) => new URL(path, document.baseURI.split(/[?#]/)[0]).href;

async function request(path, options = {}) {
  const headers = { ...options.headers };
  if (key.get()) headers.Authorization = `Bearer ${key.get()}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestFailed(0, "The server does not respond.");
  }
  const body = await response.text();
  if (response.ok) return JSON.parse(body);
  let failure = {};
  try {
    failure = JSON.parse(body);
  } catch {
    // A proxy answered.
  }
  throw new RequestFailed(response.status, failure.error ?? `The server answered with status ${response.status}.`, {
    kind: failure.error_type,
    requestId: failure.request_id,
    retryAfter: Number(response.headers.get("Retry-After")) || 0,
  });
}

export const info = () => request("info");
export const openapi = () => request("openapi.json");

/** The parameters of a prediction in a URL. */
export function query({ model, head, offsets = "utf-16", explain = true }) {
  const parameters = new URLSearchParams();
  if (model) parameters.set("model", model);
  if (head) parameters.set("heads", head);
  if (offsets !== "codepoint") parameters.set("offsets", offsets);
  if (explain) parameters.set("explain", "true");
  return parameters.size ? `?${parameters}` : "";
}

/** Return the body of a prediction; the pair is left out where there is none. */
export const body = ({ text, pair }) => (pair === null ? { text } : { text, text_pair: pair });

/** Predict a text with all heads, so that switching between them needs no request. */
export function predict({ model, text, pair, signal }) {
  return request(`documents${query({ model })}`, {
    method: "POST",
    signal,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body({ text, pair })),
  });
}
