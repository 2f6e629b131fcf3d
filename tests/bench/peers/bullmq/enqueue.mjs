// Reads a file of jobs, says so, and adds them in bulk when it is told to: see peers/shared/enqueuing.py.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Queue } from "bullmq";

const BULK = 500;
const redis = new URL(process.env.BENCH_REDIS_URL);
const queue = new Queue("deliveries", { connection: { host: redis.hostname, port: Number(redis.port) } });
await queue.waitUntilReady();

const nowUs = () => Number(process.hrtime.bigint() / 1000n);
const answer = (said) => process.stdout.write(`${JSON.stringify(said)}\n`);
let jobs = [];

for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "go") {
    const begin_us = nowUs();
    for (let start = 0; start < jobs.length; start += BULK) {
      await queue.addBulk(jobs.slice(start, start + BULK));
    }
    answer({ begin_us, end_us: nowUs() });
  } else {
    const lines = readFileSync(line.trim(), "utf8").split("\n").filter(Boolean);
    jobs = lines.map((text) => ({ name: "deliver", data: JSON.parse(text) }));
    answer({ loaded: jobs.length });
  }
}
await queue.close();
process.exit(0);
