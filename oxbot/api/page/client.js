// Talks to the API: who is signed in, requests that carry the token, problems as errors that can be shown.

const PREFIX = "/api/v1";
const KNOWN = "oxbot.signed-in";
const RENEW_BEFORE_MS = 60_000;
const TRIES = 3;
const READS_AT_ONCE = 3;

let session = null;
let renewing = null;
let timer = 0;
let floor = 0;
let reading = 0;
let lag = 0;
const waiting = [];
const watchers = new Set();

export class Problem extends Error {
  constructor(status, detail, { kind = "", requestId = "", retryAfter = 0 } = {}) {
    super(detail);
    this.status = status;
    this.kind = kind;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }
}

export function signedIn() {
  return session;
}

export function onSession(watcher) {
  watchers.add(watcher);
}

export function may(role) {
  const ranks = ["viewer", "trader", "admin"];
  return session !== null && ranks.indexOf(session.role) >= ranks.indexOf(role);
}

export async function signIn(username, password) {
  const answer = await send("POST", "/sessions", { body: { username, password } });
  await keep(await answer.json());
}

// Whoever was signed in here and has not signed out is again, by the cookie that no script can read.
export async function resume() {
  if (remembered() === null) return false;
  try {
    await renew();
    return true;
  } catch {
    drop();
    return false;
  }
}

export async function signOut() {
  try {
    await call("DELETE", "/sessions/current");
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
  } finally {
    drop();
  }
}

function remembered() {
  try {
    return localStorage.getItem(KNOWN);
  } catch {
    return null;
  }
}

async function keep(given) {
  session = { ...session, token: given.access_token, role: given.role };
  try {
    localStorage.setItem(KNOWN, "1");
  } catch {
    // Without storage one signs in again after a reload; nothing else depends on it.
  }
  clearTimeout(timer);
  timer = setTimeout(() => renew().catch(() => {}), Math.max(5_000, given.expires_in * 1000 - RENEW_BEFORE_MS));
  if (!session.username) {
    const me = await call("GET", "/me");
    session = { ...session, username: me.body.username, userId: me.body.user_id };
  }
  for (const watcher of watchers) watcher(session);
}

function drop() {
  clearTimeout(timer);
  session = null;
  floor = 0;
  try {
    localStorage.removeItem(KNOWN);
  } catch {
    // There was none to remove it from.
  }
  for (const watcher of watchers) watcher(null);
}

// One refresh at a time, over all tabs: a refresh token that comes back after the next one was used ends the session.
export function renew() {
  renewing ??= locked(refresh).finally(() => (renewing = null));
  return renewing;
}

async function locked(work) {
  return navigator.locks ? navigator.locks.request("oxbot-refresh", work) : work();
}

async function refresh() {
  const answer = await send("POST", "/sessions/refresh", { headers: { "X-Oxbot-Refresh": "1" } });
  await keep(await answer.json());
}

// The answer to a request; a token that has run out is renewed once, and a session that has ended shows the door.
export async function call(method, path, options = {}) {
  let answer;
  try {
    answer = await send(method, path, options);
  } catch (problem) {
    if (!(problem instanceof Problem) || problem.status !== 401 || session === null) throw problem;
    await renewOrLeave();
    answer = await send(method, path, options);
  }
  const position = Number(answer.headers.get("X-Position") ?? 0);
  if (answer.headers.has("X-Lag")) lag = Number(answer.headers.get("X-Lag"));
  const type = answer.headers.get("Content-Type") ?? "";
  const body = answer.status === 204 ? null : type.includes("json") ? await answer.json() : await answer.text();
  return { body, position };
}

async function renewOrLeave() {
  try {
    await renew();
  } catch (problem) {
    if (problem instanceof Problem && problem.status < 500) drop();
    throw problem;
  }
}

// Reads go a few at a time, so that one page never takes all the connections that the server has for everybody.
export async function read(path, query = {}) {
  while (reading >= READS_AT_ONCE) await new Promise((resolve) => waiting.push(resolve));
  reading += 1;
  try {
    return (await call("GET", path, { query })).body;
  } finally {
    reading -= 1;
    waiting.shift()?.();
  }
}

// What an older API does not serve, or this user may not see, is not there.
export async function readIfThere(path, query = {}) {
  try {
    return await read(path, query);
  } catch (problem) {
    if (problem instanceof Problem && [403, 404].includes(problem.status)) return null;
    throw problem;
  }
}

// A list to its end, or up to so many pages of it.
export async function readAll(path, query = {}, { pages = 10 } = {}) {
  const items = [];
  let cursor = "";
  for (let page = 0; page < pages; page += 1) {
    const found = await read(path, cursor ? { ...query, cursor } : query);
    items.push(...found.items);
    cursor = found.next;
    if (!cursor) break;
  }
  return items;
}

// A command, once: repeated under its own key where nobody knows what became of it.
export async function command(path, body, { method = "POST" } = {}) {
  const headers = { "Idempotency-Key": freshKey() };
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answered = await call(method, path, { body, headers });
      floor = Math.max(floor, answered.position);
      return answered;
    } catch (problem) {
      const passing = !(problem instanceof Problem) || problem.status === 503;
      if (!passing || attempt === TRIES) throw problem;
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.max(problem.retryAfter ?? 0, attempt)));
    }
  }
}

// The position up to which reads must go to show what was commanded here.
export function readFloor() {
  return floor ? { min_position: floor } : {};
}

export function reached(query) {
  if (query.min_position === floor) floor = 0;
}

// How many events the views were behind the log when they were last read.
export function lagEvents() {
  return lag;
}

function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function addressOf(path, query = {}) {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== null) asked.set(name, value);
  return PREFIX + path + (asked.size ? `?${asked}` : "");
}

export async function send(method, path, { body, query, headers = {}, signal } = {}) {
  const sent = { ...headers };
  if (session) sent.Authorization = `Bearer ${session.token}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(addressOf(path, query), {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The server cannot be reached.", { kind: "unreachable" });
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

async function problemOf(answer) {
  const retryAfter = Number(answer.headers.get("Retry-After") ?? 0) || 0;
  try {
    const { detail, type, request_id: requestId } = await answer.json();
    return new Problem(answer.status, detail, { kind: type.split(":").pop(), requestId, retryAfter });
  } catch {
    return new Problem(answer.status, `The server answered ${answer.status}.`, { retryAfter });
  }
}
