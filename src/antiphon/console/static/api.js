// Requests to the API, in the name of whoever is signed in.
const proof = document.querySelector('meta[name="csrf"]').content;

// What the API said: `error` is the inside of its envelope, `request` the id that its logs know.
export class ApiError extends Error {
  constructor(status, error, request = "") {
    super(error.message);
    Object.assign(this, { status, code: error.code, param: error.param, request });
  }
}

// The answer to a body, a form or JSON, once it begins. Throws ApiError, or the AbortError of `signal`.
export async function call(path, { project, body, signal }) {
  const headers = { "x-csrf-token": proof, "OpenAI-Project": project };
  const form = body instanceof FormData;
  if (!form) headers["content-type"] = "application/json";
  const sent = { method: "POST", headers, body: form ? body : JSON.stringify(body), signal };
  const answer = await fetch(path, sent).catch(unreachable);
  if (answer.ok) return answer;
  throw new ApiError(answer.status, await refusal(answer), answer.headers.get("x-request-id") ?? "");
}

export function unreachable(problem) {
  if (problem.name === "AbortError") throw problem;
  const message = "The connection to the server broke. Try again in a moment.";
  throw new ApiError(0, { message, code: "connection" });
}

async function refusal(answer) {
  const envelope = await answer.json().catch(() => ({}));
  return envelope.error ?? { message: `The server answered with status ${answer.status}.` };
}

// Say in `element`, an alert, what went wrong.
export function tell(element, problem) {
  const known = [
    problem.code && `code ${problem.code}`,
    problem.param && `parameter ${problem.param}`,
    problem.request && `request ${problem.request}`,
  ].filter(Boolean);
  const about = document.createElement("small");
  about.textContent = known.join(" · ");
  element.replaceChildren(problem.message, document.createElement("br"), about);
  if (problem.status === 401) {
    const link = document.createElement("a");
    link.href = `/sign-in?next=${location.pathname}`;
    link.textContent = "Sign in again";
    element.append(" ", link);
  }
  element.hidden = false;
}
