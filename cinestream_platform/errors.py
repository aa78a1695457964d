"""The base class of the platform's own errors.

Whatever else is raised is no user's mistake: the command line shows its traceback and asks to report it. What does not
belong here: the errors themselves, which stand where they are raised, and how they are shown (``failures``).
"""


class CineStreamError(Exception):
    """Something that people can mend; the message names the culprit and the remedy, and quotes no personal data."""
