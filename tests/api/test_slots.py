"""Places for streams: so many of the process, of one subscription, and of one organization."""

import pytest

from gateway.api.slots import Slots
from gateway.errors import TooManyStreams


def test_no_organization_takes_the_places_of_the_others():
    slots = Slots(streams_max=4, per_subject_max=2)
    first = slots.take("sub_1", "organization a")
    slots.take("sub_2", "organization a")
    with pytest.raises(TooManyStreams, match="2 streams"):
        slots.take("sub_3", "organization a")
    slots.take("sub_4", "organization b")
    assert slots.taken == 3  # who was refused holds nothing
    first.release()
    first.release()
    assert slots.taken == 2
    slots.take("sub_3", "organization a")


def test_the_process_has_an_end_too():
    slots = Slots(streams_max=2, per_subject_max=2)
    with slots.take("sub_1", "organization a"):
        slots.take("sub_2")
        with pytest.raises(TooManyStreams, match="This gateway"):
            slots.take("sub_3", "organization b")
    assert slots.taken == 1
    slots.take("sub_3", "organization b")
