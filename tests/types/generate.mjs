// TypeScript of every schema in a folder: node generate.mjs IN OUT. Run by generate.py, from the environment's folder.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const { compile } = createRequire(join(process.cwd(), "package.json"))("json-schema-to-typescript");
const [source, target] = process.argv.slice(2);
mkdirSync(target, { recursive: true });
for (const file of readdirSync(source)) {
  const schema = JSON.parse(readFileSync(join(source, file), "utf8"));
  const text = await compile(schema, schema.title, {
    bannerComment: "",
    format: true,
    unknownAny: true, // what a contract leaves open is looked at before it is used
    style: { printWidth: 110 },
  });
  writeFileSync(join(target, file.replace(/\.json$/, ".ts")), text);
}
