// Verifies with npm standardwebhooks: on standard input {headers, body (Base64), secrets}; prints what each secret says.

const { Webhook } = require("standardwebhooks");

async function main() {
  let text = "";
  for await (const chunk of process.stdin) text += chunk;
  const { headers, body, secrets } = JSON.parse(text);
  const raw = Buffer.from(body, "base64").toString("utf8");
  const good = secrets.map((secret) => {
    try {
      new Webhook(secret).verify(raw, headers);
      return true;
    } catch (error) {
      if (error.name !== "WebhookVerificationError") throw error;
      return false;
    }
  });
  console.log(JSON.stringify(good));
}

main();
