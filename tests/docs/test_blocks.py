"""Every code block of README and docs is run: the shell's here, page by page, against one real gateway."""

import json

import pytest
from pages import CALLED, NOT_RUN, PAGES, PICTURES, ROOT, Block, blocks_of
from place import Place

from contracts import validate
from schemas import type_of

SHELL = [page for page in PAGES if any(block.language == "sh" for block in blocks_of(page))]
JSON = [block for page in PAGES for block in blocks_of(page) if block.language == "json"]


def of(page, language: str) -> list[Block]:
    return [block for block in blocks_of(page) if block.language == language]


@pytest.mark.parametrize("page", SHELL, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_shell_blocks_of_a_page_do_what_they_say(page, place: Place):
    try:
        for block in of(page, "sh"):
            if block.why_not is None:
                try:
                    place.run(block.text)
                except AssertionError as error:
                    raise AssertionError(f"{block}\n{error}") from error
    finally:
        place.end()


@pytest.mark.parametrize("block", JSON, ids=lambda block: f"{block.name}:{block.number}")
def test_json_is_what_a_contract_takes(block: Block):
    payload = json.loads(block.text)
    if "event_type" in payload:
        assert validate(type_of(payload["event_type"]), payload) == []
    else:  # the other kind of document that a reader gets from the gateway
        assert payload["type"].startswith("urn:letta-gateway:problem:")


def test_every_block_is_of_a_kind_that_is_run_or_looked_at():
    kinds = {block.language for page in PAGES for block in blocks_of(page)}
    assert kinds <= {"sh", "json"} | CALLED | PICTURES


def test_what_is_not_run_is_there():
    found = {(block.name, block.text.splitlines()[0]) for page in PAGES for block in blocks_of(page)}
    assert NOT_RUN.keys() <= found
