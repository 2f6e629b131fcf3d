// BullMQ with its documented concurrency, and undici's pool with a connection for each job at work.
import { createHmac } from "node:crypto";
import { Worker } from "bullmq";
import { Pool } from "undici";

const { BENCH_AT_ONCE, BENCH_REDIS_URL, BENCH_SECRET, BENCH_SINK } = process.env;
const atOnce = Number(BENCH_AT_ONCE);
const key = Buffer.from(BENCH_SECRET.replace(/^whsec_/, ""), "base64");
const sink = new URL(BENCH_SINK);
const redis = new URL(BENCH_REDIS_URL);
const pool = new Pool(sink.origin, { connections: atOnce });

async function deliver({ data: { id, body } }) {
  const timestamp = Math.floor(Date.now() / 1000);
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  const answer = await pool.request({
    path: sink.pathname,
    method: "POST",
    headers: {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": `v1,${signature}`,
    },
    body,
  });
  await answer.body.dump();
  if (answer.statusCode >= 300) throw new Error(`answered ${answer.statusCode}`);
}

const worker = new Worker("deliveries", deliver, {
  connection: { host: redis.hostname, port: Number(redis.port), maxRetriesPerRequest: null },
  concurrency: atOnce,
  removeOnComplete: { count: 0 },
});
worker.on("error", (error) => console.error(error));
worker.on("failed", (_job, error) => console.error(error));
