// Publishes with npm cloudevents: URL and token as arguments, on standard input a list of
// {mode, events | raw, type?}; on standard output the answers, {status, body} each.

const { CloudEvent, HTTP } = require("cloudevents");

const [url, token] = process.argv.slice(2);
const BATCH = "application/cloudevents-batch+json";

function messageOf({ mode, events }) {
  const made = events.map((event) => new CloudEvent(event));
  if (mode === "batch") return { headers: { "content-type": BATCH }, body: JSON.stringify(made) };
  return mode === "binary" ? HTTP.binary(made[0]) : HTTP.structured(made[0]);
}

async function send(asked) {
  const { headers, body } = messageOf(asked);
  const all = { ...headers, ...asked.headers, authorization: `Bearer ${token}` };
  const answer = await fetch(url, { method: "POST", headers: all, body });
  return { status: answer.status, body: await answer.json() };
}

async function main() {
  let text = "";
  for await (const chunk of process.stdin) text += chunk;
  const answers = [];
  for (const asked of JSON.parse(text)) answers.push(await send(asked));
  console.log(JSON.stringify(answers));
}

main();
