// Caption a picture with a service (`cutline serve`), from JavaScript alone (Node 18 or newer):
//
//     node serve_client.mjs http://127.0.0.1:8000 photo.jpg
//
// $CUTLINE_TOKEN is sent as the token. Prints the caption, then each word with its probability.
import { readFile } from "node:fs/promises";

const [url, path] = process.argv.slice(2);
const token = process.env.CUTLINE_TOKEN;

const answer = await fetch(`${url}/v1/captions`, {
  method: "POST",
  headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
  body: JSON.stringify({ images: [(await readFile(path)).toString("base64")], beam: 5 }),
});
const body = await answer.json();

if (answer.ok) {
  const [result] = body.results;
  console.log(result.unsure ? `perhaps: ${result.caption}` : result.caption);
  result.words.forEach((word, i) => console.log(`${word} ${Math.exp(result.log_probs[i]).toFixed(2)}`));
} else {
  console.error(body.detail);
  process.exitCode = 1;
}
