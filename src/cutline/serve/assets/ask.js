// Asks the service for captions; what it refuses is a sentence.

const TRIES = 6; // of a service that is busy

export class Refusal extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

async function once(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    throw new Refusal("The service cannot be reached; see whether it still runs.", 0);
  }
}

async function refusal(answer) {
  try {
    return new Refusal((await answer.json()).detail, answer.status);
  } catch {
    return new Refusal(`The service answered with status ${answer.status}.`, answer.status);
  }
}

const authorised = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

// What captions here, and its limits.
export async function model(token) {
  const answer = await once("/v1/model", { headers: authorised(token) });
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

// The result for one picture; names of files are not sent.
export async function caption(file, { captions, token }) {
  const body = new FormData();
  body.append("image", file, "image");
  body.append("n_best", String(captions));
  body.append("attention", "true");
  for (let left = TRIES; ; left -= 1) {
    const answer = await once("/v1/captions", { method: "POST", body, headers: authorised(token) });
    if (answer.ok) return (await answer.json()).results[0];
    if (answer.status !== 503 || left <= 1) throw await refusal(answer);
    await wait(Number(answer.headers.get("Retry-After")) || 1);
  }
}
