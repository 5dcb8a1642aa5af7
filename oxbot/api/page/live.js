// Follows the log by server-sent events over fetch, resumes by position, comes back by itself, and says how it stands.

import { Problem, renew, send, signedIn } from "./client.js";

const FIRST_WAIT_MS = 500;
const WAIT_MS_MAX = 30_000;
const SILENCE_MS = 45_000;
const STEADY_MS = 10_000;
const ENDS = new Set(["overrun", "closing", "finished", "gone"]);

export class Live {
  #onEvent;
  #onState;
  #onPosition;
  #after = null;
  #abort = null;
  #turn = 0;

  constructor({ onEvent, onState, onPosition }) {
    this.#onEvent = onEvent;
    this.#onState = onState;
    this.#onPosition = onPosition;
    addEventListener("offline", () => this.#lose());
    addEventListener("online", () => this.#again());
    document.addEventListener("visibilitychange", () => document.hidden || this.state === "live" || this.#again());
  }

  state = "off";

  get position() {
    return this.#after;
  }

  // Follow all that may be seen, from where it is.
  follow() {
    if (this.state === "off") this.#again();
  }

  stop() {
    this.#turn += 1;
    this.#abort?.abort();
    this.#after = null;
    this.#say("off");
  }

  #again() {
    if (!signedIn()) return;
    this.#turn += 1;
    this.#abort?.abort();
    this.#run(this.#turn);
  }

  #lose() {
    this.#turn += 1;
    this.#abort?.abort();
    if (signedIn()) this.#say("lost");
  }

  async #run(turn) {
    let wait = FIRST_WAIT_MS;
    while (turn === this.#turn && signedIn()) {
      const began = Date.now();
      try {
        await this.#listen(turn);
      } catch (problem) {
        if (turn !== this.#turn) return;
        if (problem instanceof Problem && problem.status === 401) await renew().catch(() => {});
        if (problem instanceof Problem && [404, 409, 410, 422].includes(problem.status)) this.#after = null;
        wait = Math.max(wait, (problem.retryAfter ?? 0) * 1000);
      }
      if (turn !== this.#turn) return;
      if (Date.now() - began > STEADY_MS) wait = FIRST_WAIT_MS;
      this.#say(wait > 4000 ? "lost" : "waiting");
      await pause(wait * (0.75 + Math.random() / 2));
      wait = Math.min(wait * 2, WAIT_MS_MAX);
    }
  }

  async #listen(turn) {
    const abort = new AbortController();
    this.#abort = abort;
    const query = { after: this.#after ?? undefined };
    const answer = await send("GET", "/stream", { query, signal: abort.signal, headers: { Accept: "text/event-stream" } });
    if (turn !== this.#turn) return abort.abort();
    this.#say("live");
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await within(reader.read(), SILENCE_MS, abort);
      if (done || turn !== this.#turn) return undefined;
      const blocks = (rest + value.replaceAll("\r\n", "\n")).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = parse(block);
        if (event && !(await this.#take(event))) return abort.abort();
      }
    }
  }

  async #take({ id, event, data }) {
    if (event === "signed_out") {
      await renew().catch(() => {});
      return false;
    }
    if (id) {
      this.#after = Number(id);
      this.#onPosition(this.#after);
    }
    if (!data) return true;
    const told = JSON.parse(data);
    if (ENDS.has(event)) return false;
    if (told.stream === undefined) return true;
    this.#onEvent(told);
    return true;
  }

  #say(state) {
    this.state = state;
    this.#onState(state);
  }
}

function parse(block) {
  const event = { id: "", event: "message", data: "" };
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") event.data += (event.data && "\n") + value;
    else if (name in event) event[name] = value;
  }
  return event.data || event.id ? event : null;
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function within(promise, milliseconds, abort) {
  const timer = setTimeout(() => abort.abort(), milliseconds);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}
