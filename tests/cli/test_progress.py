"""What long work says when the waiting for it ends early."""

import pytest

from gateway.cli.progress import goes_on
from gateway.errors import NoServer


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (KeyboardInterrupt(), "The archiving goes on by itself.\n"),
        (
            NoServer("http://h does not answer."),
            "The archiving goes on by itself when the gateway is back.\n",
        ),
    ],
)
def test_the_work_goes_on_without_the_command(
    capsys: pytest.CaptureFixture[str], ended: BaseException, said: str
) -> None:
    def waited() -> None:
        with goes_on("The archiving"):
            raise ended

    with pytest.raises(type(ended)):
        waited()
    assert capsys.readouterr().err == said
