"""The tools that the agents under test call."""

ADD = '''\
def add_numbers(a: int, b: int) -> int:
    """Add two numbers.

    Args:
        a (int): The one.
        b (int): The other.

    Returns:
        int: Their sum.
    """
    return a + b
'''

BOOM = '''\
def boom(reason: str) -> str:
    """Fail.

    Args:
        reason (str): Why.

    Returns:
        str: Nothing, ever.
    """
    raise ValueError(reason)
'''
