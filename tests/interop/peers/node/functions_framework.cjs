// A function of Google's functions-framework; the framework itself is the process that is started.

const functions = require("@google-cloud/functions-framework");
const { seen } = require("./report.cjs");

functions.cloudEvent("receive", (event) => seen([event]));
