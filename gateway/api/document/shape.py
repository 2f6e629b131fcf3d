"""What the shapes of answers have in common: models that are only described; a test holds real answers to them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Position = Annotated[int, Field(ge=1)]
SubscriptionState = Literal["active", "paused", "disabled"]


class Shape(BaseModel):
    """An object in an answer. Members may be added later: a reader passes over what it does not know."""

    model_config = ConfigDict(use_attribute_docstrings=True, populate_by_name=True)
