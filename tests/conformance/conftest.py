"""What the flows' tests start and make, for the rows that are about behaviour on the wire."""

import flow_fixtures

asking = flow_fixtures.asking
asking_process = flow_fixtures.asking_process
kind = flow_fixtures.kind
make_event = flow_fixtures.make_event
make_letta_event = flow_fixtures.make_letta_event
numbers = flow_fixtures.numbers
receiver = flow_fixtures.receiver
reply = flow_fixtures.reply
shared = flow_fixtures.shared
shared_process = flow_fixtures.shared_process
sink = flow_fixtures.sink
until = flow_fixtures.until
