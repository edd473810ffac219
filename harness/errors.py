"""The one root of this project's exceptions.

    HarnessError     the user (or the machine) is to blame; the text is one sentence with the remedy

Misbehaviour of a peer is never an exception: it is a record in the history.
"""


class HarnessError(Exception):
    """A fault that the user can mend. Its text is one sentence that names the thing and the remedy."""
