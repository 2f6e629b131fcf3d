"""The quickstart's handler in Python, given what a real gateway sends: it answers 2xx to whatever that is."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/quickstart.md"


def documented_handler():
    blocks = re.findall(r"```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (text,) = [text for text in blocks if "def on_post(" in text]
    defined = {}
    exec(compile(text, str(PAGE), "exec"), defined)  # noqa: S102 - our own page
    return defined["on_post"]


def test_it_takes_test_events_and_every_own_type(shared, sink, make_event, kind):
    on_post = documented_handler()
    made = shared.subscribe(sink, types=[kind])
    shared.client.post(f"/v1/subscriptions/{made['id']}/test").raise_for_status()
    own = [make_event(), make_event(data=[1, "é"]), make_event(data=None), make_event(data={"event_type": 1})]
    shared.publish(*own)
    posts = sink.wait(5)
    assert [on_post(made["secret"], dict(post.headers), post.body) for post in posts] == [200] * 5


def test_it_takes_whole_events_too(shared, sink, make_event, kind):
    on_post = documented_handler()
    made = shared.subscribe(sink, types=[kind], config={"format": "structured"})
    shared.client.post(f"/v1/subscriptions/{made['id']}/test").raise_for_status()
    shared.publish(make_event())
    assert [on_post(made["secret"], dict(post.headers), post.body) for post in sink.wait(2)] == [200, 200]
