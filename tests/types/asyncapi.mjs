// What AsyncAPI's own parser says of a document: node asyncapi.mjs FILE, from the environment's folder.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const { Parser } = createRequire(join(process.cwd(), "package.json"))("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const said = diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path: path.join("/") }));
const channels = document ? document.channels().all().map((channel) => channel.id()) : [];
const operations = document ? document.operations().all().map((one) => [one.action(), one.id()]) : [];
const messages = document ? document.allMessages().all().map((one) => one.id()) : [];
console.log(JSON.stringify({ valid: document !== undefined, said, channels, operations, messages }));
