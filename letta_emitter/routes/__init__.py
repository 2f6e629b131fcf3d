"""The webhook of an agent on Letta's own API: the same routes as the gateway's, which has the webhook.

Mounted where LETTA_EMITTER_GATEWAY_URL and LETTA_EMITTER_GATEWAY_TOKEN are set, so that people configure a webhook
where their agent lives. Importing this package imports neither Letta nor FastAPI nor HTTPX.
"""
