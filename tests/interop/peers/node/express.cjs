// npm cloudevents behind express, by the lines of its README. The body is kept raw, as verifying a signature takes it.

const express = require("express");
const { HTTP } = require("cloudevents");
const { seen, failed } = require("./report.cjs");

const app = express();
app.use(express.raw({ type: () => true, limit: "2mb" }));

app.post("/", (req, res) => {
  const raw = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0);
  const body = req.headers["content-type"] === "application/octet-stream" ? raw : raw.toString("utf8");
  try {
    seen([HTTP.toEvent({ headers: req.headers, body })].flat());
  } catch (error) {
    failed(error);
  }
  res.status(204).end();
});

app.listen(Number(process.argv[2]), "127.0.0.1");
