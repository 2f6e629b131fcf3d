// A function of Knative's faas-js-runtime.

const { start } = require("faas-js-runtime");
const { seen, failed } = require("./report.cjs");

function handle(context, event) {
  if (context.cloudevent === undefined) failed("the runtime took it for a plain request");
  else seen([event]);
}

start(handle, { port: Number(process.argv[2]), logLevel: "fatal" });
