"""Errors that are the user's to mend."""


class InputError(Exception):
    """Something given by the user cannot be used.

    The message is one clear text that names the file, the field and what to do about it. Commands print
    it without a traceback and exit with code 1.
    """
