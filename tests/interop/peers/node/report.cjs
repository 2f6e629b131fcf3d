// How a receiver tells what it understood: one line of JSON on its standard output.

const ATTRIBUTE_OF_NONE = new Set(["data", "data_base64"]);

function dataOf(event) {
  const { data, data_base64: encoded } = event;
  // A framework without a parser of its own hands out the JSON as it came.
  if (data === undefined) return encoded === undefined ? {} : { base64: encoded };
  if (ArrayBuffer.isView(data)) return { base64: Buffer.from(data).toString("base64") };
  return { json: data };
}

function seen(events) {
  const told = events.map((event) => ({
    attributes: Object.fromEntries(
      Object.entries(event).filter(([name, value]) => !ATTRIBUTE_OF_NONE.has(name) && value !== undefined),
    ),
    data: dataOf(event),
  }));
  console.log(`SEEN ${JSON.stringify({ events: told })}`);
}

function failed(error) {
  console.log(`SEEN ${JSON.stringify({ error: String(error.message ?? error) })}`);
}

module.exports = { seen, failed };
